package bot

import "fmt"

// Report is what a look at a chat's service found.
type Report struct {
	Problems []string // must be mended before Elevate works
	Remarks  []string // may be mended
}

// Problem adds one that must be mended.
func (r *Report) Problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Remark adds something that may be mended.
func (r *Report) Remark(format string, args ...any) {
	r.Remarks = append(r.Remarks, fmt.Sprintf(format, args...))
}
