package main

import (
	"os"
	"testing"

	"elevate/cmd/elevate/e2etest"
)

func TestMain(m *testing.M) { os.Exit(e2etest.Run(m)) }
