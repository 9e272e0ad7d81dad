// Command licences lists the licences in bills of materials (CycloneDX, JSON), and fails where one is not permissive or is
// not known: go run ./.ci/licences FILE…
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// permissive are the licences that ask for no more than to be named. BSD-Source-Code is how the detector names the
// three-clause licence of Go's own modules.
var permissive = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-Source-Code", "BSL-1.0", "ISC", "MIT", "PostgreSQL", "Unlicense", "Zlib"}

type bill struct {
	Components []struct {
		Name, Version string
		Evidence      struct {
			Licenses []struct{ License struct{ ID, Name string } }
		}
	}
}

func main() {
	found, bad := map[string]bool{}, 0
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		var b bill
		if err == nil {
			err = json.Unmarshal(text, &b)
		}
		if err != nil || len(b.Components) == 0 {
			fmt.Fprintf(os.Stderr, "%s: no bill of materials: %v\n", path, err)
			os.Exit(1)
		}
		for _, c := range b.Components {
			var names []string
			good := true
			for _, l := range c.Evidence.Licenses {
				name := l.License.ID + l.License.Name
				names = append(names, name)
				good = good && slices.Contains(permissive, name)
			}
			line := fmt.Sprintf("%-52s %-40s %s", c.Name, c.Version, strings.Join(names, ", "))
			if c.Name != "std" && (len(names) == 0 || !good) && !found[line] {
				bad++
				fmt.Fprintf(os.Stderr, "not permissive, or not known: %s\n", line)
			}
			found[line] = true
		}
	}
	for _, line := range slices.Sorted(maps.Keys(found)) {
		fmt.Println(line)
	}
	if bad > 0 {
		os.Exit(1)
	}
}
