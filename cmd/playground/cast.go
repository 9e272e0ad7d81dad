package main

import (
	"elevate/bot/web"
	"elevate/cmd/internal/config"
	"elevate/workflows/access"
)

// part is what the page says of somebody beside their name.
type part struct{ title, zone string }

// cast gives the people of the configuration, in its order, their parts.
func cast(people []config.Person) []web.Person {
	parts := map[access.PersonID]part{
		"ana":   {"Engineer", "Europe/Lisbon"},
		"kofi":  {"Engineer", "Africa/Accra"},
		"bob":   {"Approver", "America/New_York"},
		"mei":   {"Approver, security", "Asia/Tokyo"},
		"greta": {"Administrator", "Europe/Stockholm"},
		"omar":  {"Auditor", "Asia/Dubai"},
	}
	out := make([]web.Person, 0, len(people))
	for _, p := range people {
		out = append(out, web.Person{ID: p.ID, Name: p.Name, Title: parts[p.ID].title, Zone: parts[p.ID].zone})
	}
	return out
}

func channels() []web.Channel {
	return []web.Channel{
		{ID: "access", Topic: "Requests for access, and what becomes of them"},
		{ID: "access-critical", Topic: "The roles that two people must approve"},
	}
}
