package measure

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine is what a measurement was made on.
type Machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	CPU   string `json:"cpu,omitempty"` // model; empty where the system does not tell
	Cores int    `json:"cores"`         // that this process may use
	Go    string `json:"go"`
	// Load is the load average of the last minute: what else the machine had to do. Empty where the system does not tell.
	Load string `json:"load,omitempty"`
}

// ThisMachine looks around.
func ThisMachine() Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(text), " ")
	}
	return m
}

// String is the machine in a line.
func (m Machine) String() string {
	parts := []string{fmt.Sprintf("%s/%s", m.OS, m.Arch), fmt.Sprintf("%d cores", m.Cores)}
	if m.CPU != "" {
		parts = append(parts, m.CPU)
	}
	parts = append(parts, m.Go)
	if m.Load != "" {
		parts = append(parts, "load "+m.Load)
	}
	return strings.Join(parts, ", ")
}
