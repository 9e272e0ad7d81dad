package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/cmd/elevate/e2etest"
	"elevate/connectors/azure/armfake"
	"elevate/workflows/access"
)

const azureScope = "/subscriptions/44444444-aaaa-4bbb-8ccc-000000000004/resourcegroups/prod"

// azured is the bot between a real Redis and a tenant.
type azured struct {
	*testing.T
	tenant *armfake.Server
	bot    *e2etest.Bot
}

// objectOf is somebody's object id.
func objectOf(who string) string {
	return map[string]string{"ana": "55555555-aaaa-4bbb-8ccc-000000000005", "bea": "66666666-aaaa-4bbb-8ccc-000000000006"}[who]
}

// startAzure starts a tenant with the scope of these stories, and gives it with the connector to it, whose secret is in the
// environment of the bot.
func startAzure(t *testing.T, people ...string) (tenant *armfake.Server, connector string) {
	t.Helper()
	tenant = armfake.New(t)
	tenant.AddScope(azureScope)
	for _, who := range people {
		tenant.AddPerson(objectOf(who))
	}
	return tenant, fmt.Sprintf(`{type: azure, tenant_id: %s, client_id: %s, client_secret: "${AZURE_SECRET}", resource_manager_url: %q, authority_url: %q, ca_file: %q}`,
		armfake.Tenant, armfake.Client, tenant.URL, tenant.URL, tenant.CAFile(t))
}

// azureTarget is the right that is given there.
const azureTarget = "{scope: " + azureScope + ", role: " + armfake.Contributor + "}"

func openAzure(t *testing.T) *azured {
	t.Helper()
	tenant, connector := startAzure(t, "ana", "bea")
	a := &azured{T: t, tenant: tenant}
	config := siteConfigWith(t, e2etest.StartRedis(t), connector, azureTarget)
	for _, who := range []string{"ana", "bea"} {
		config = strings.ReplaceAll(config, fmt.Sprintf("{id: %s, name: %s}", who, who), fmt.Sprintf("{id: %s, name: %s, accounts: {target: %s}}", who, who, objectOf(who)))
	}
	t.Setenv("AZURE_SECRET", armfake.Secret) // for check, too
	a.bot = e2etest.StartBot(t, config)
	a.bot.WaitReady()
	return a
}

func (a *azured) holds(who string) bool {
	return a.tenant.Holds(azureScope, armfake.Contributor, objectOf(who))
}

// given has somebody hold the role for an hour, and gives the request.
func (a *azured) given(who string) api.Request {
	a.Helper()
	var made api.Request
	status, err := call(a.bot, who, http.MethodPost, "/requests", map[string]string{"role": "vpn", "duration": "1h", "justification": "look at it"}, &made)
	if err != nil || status != http.StatusCreated {
		a.Fatalf("submit: %d, %v", status, err)
	}
	if status, err = call(a.bot, "ben", http.MethodPost, "/requests/"+string(made.ID)+"/approve", nil, nil); err != nil || status != http.StatusOK {
		a.Fatalf("approve: %d, %v", status, err)
	}
	return reaches(a, a.bot, "aud", made.ID, access.Active)
}

// TestAzureEndsWhatADeadBotGave gives two people an Azure role by the built program: one gives it back, and the other's
// ends although the bot was killed and never came back.
func TestAzureEndsWhatADeadBotGave(t *testing.T) {
	a := openAzure(t)
	said := e2etest.Elevate(t, a.bot.Dir, "check", "--online")
	if lacks := lacking(said.Stdout, []string{"ok       connectors.target: azure", "superfluous: Elevate's application has Role Based Access Control Administrator at the root of the tenant without a condition"}); said.Code != 0 || len(lacks) > 0 {
		t.Errorf("check: code %d, lacks %q in\n%s%s", said.Code, lacks, said.Stdout, said.Stderr)
	}

	anas, beas := a.given("ana"), a.given("bea")
	if r := beas.Receipt; r == nil || r.NativeEnd == nil || beas.EndsAt == nil || r.NativeEnd.Before(*beas.EndsAt) {
		t.Fatalf("the request ends at %v, and its receipt is %+v", beas.EndsAt, beas.Receipt)
	}
	a.tenant.Age(azureScope, 6*time.Minute) // no earlier does Azure remove anything
	if status, err := call(a.bot, "ana", http.MethodPost, "/requests/"+string(anas.ID)+"/end", nil, nil); err != nil || status != http.StatusOK {
		t.Fatalf("end: %d, %v", status, err)
	}
	if ended := reaches(a, a.bot, "aud", anas.ID, access.Ended); a.holds("ana") || ended.Removal == nil || ended.Removal.Was != access.Removed || !a.holds("bea") {
		t.Errorf("after ana's end: ana %t, bea %t, removal %+v", a.holds("ana"), a.holds("bea"), ended.Removal)
	}

	a.bot.Kill9()
	a.tenant.Advance(59 * time.Minute)
	if !a.holds("bea") {
		t.Error("Azure ended it before its time")
	}
	a.tenant.Advance(4 * time.Minute)
	if a.holds("bea") {
		t.Error("Azure did not end it")
	}
	if said := a.bot.Log(); strings.Contains(said, armfake.Secret) {
		t.Error("the log tells the secret")
	}
}
