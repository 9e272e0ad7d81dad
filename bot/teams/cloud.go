package teams

// Cloud is where the Bot Framework and Teams of one of Microsoft's clouds are found.
type Cloud struct {
	Login       string // of tokens for the Bot Connector; the tenant's id and oauth2/v2.0/token are added
	Scope       string // of those tokens
	Metadata    string // OpenID configuration of whoever signs what comes in
	Issuer      string // of what comes in
	ServiceURL  string // where conversations are begun as long as no activity has named another place
	ServiceHost []string
}

// Clouds are Microsoft's, by their word in the configuration.
func Clouds() map[string]Cloud {
	return map[string]Cloud{
		"public": {
			Login: "https://login.microsoftonline.com", Scope: "https://api.botframework.com/.default",
			Metadata: "https://login.botframework.com/v1/.well-known/openidconfiguration", Issuer: "https://api.botframework.com",
			ServiceURL: "https://smba.trafficmanager.net/teams/", ServiceHost: []string{"smba.trafficmanager.net", ".botframework.com", ".teams.microsoft.com"},
		},
		"usgov": {
			Login: "https://login.microsoftonline.us", Scope: "https://api.botframework.us/.default",
			Metadata: "https://login.botframework.azure.us/v1/.well-known/openidconfiguration", Issuer: "https://api.botframework.us",
			ServiceURL: "https://smba.infra.gov.teams.microsoft.us/teams/", ServiceHost: []string{".botframework.us", ".botframework.azure.us", ".teams.microsoft.us"},
		},
		"china": {
			Login: "https://login.partner.microsoftonline.cn", Scope: "https://api.botframework.azure.cn/.default",
			Metadata: "https://login.botframework.azure.cn/v1/.well-known/openidconfiguration", Issuer: "https://api.botframework.azure.cn",
			ServiceURL: "https://smba.infra.teams.microsoftonline.cn/teams/", ServiceHost: []string{".botframework.azure.cn", ".teams.microsoftonline.cn"},
		},
	}
}
