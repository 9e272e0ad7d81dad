package main

import (
	"elevate/cmd/internal/config"
	"elevate/connectors"
	"elevate/connectors/activedirectory"
	"elevate/connectors/azure"
	"elevate/connectors/demo"
	"elevate/connectors/entra"
	"elevate/connectors/postgres"
	"elevate/connectors/webhook"
	"elevate/workflows"
)

// connectorTypes is everything that this program can reach: the type in the configuration, and what makes it.
func connectorTypes() map[string]config.ConnectorType {
	return map[string]config.ConnectorType{
		"activedirectory": made(activedirectory.New),
		"azure":           made(azure.New),
		"bundle":          made(func(struct{}) (*workflows.Bundle, error) { return workflows.NewBundle(), nil }),
		"demo":            made(demo.New),
		"entra":           made(entra.New),
		"postgres":        made(postgres.New),
		"webhook":         made(webhook.New),
	}
}

// made turns a connector's constructor into a connector type: its settings are read strictly from the block.
func made[Config any, Made connectors.Connector](construct func(Config) (Made, error)) config.ConnectorType {
	return func(b config.Block) (connectors.Connector, error) {
		var cfg Config
		if err := b.Decode(&cfg); err != nil {
			return nil, err
		}
		return construct(cfg)
	}
}
