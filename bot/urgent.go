package bot

// Urgent acts decide, take back or end. They have slots and queues of their own, so that they never wait behind requests.

// Urgent tells whether a button is for deciding, taking back or ending.
func (a Action) Urgent() bool {
	switch a {
	case ActApprove, ActDeny, ActCancel, ActEnd:
		return true
	}
	return false
}

// Urgent tells whether a form decides.
func (f FormName) Urgent() bool { return f == FormDeny || f == FormApprove }

// UrgentWords tells whether words that somebody typed are for deciding, taking back or ending.
func UrgentWords(text string) bool {
	switch parse(text).verb {
	case verbEnd, verbCancel, verbApprove, verbDeny:
		return true
	}
	return false
}
