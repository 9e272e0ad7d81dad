//go:build !unix

package embedded

import "errors"

// lock refuses: without it two programs could write one folder.
func lock(string) (unlock func() error, err error) {
	return nil, errors.New("folders cannot be locked on this system: set store.url to a Redis server")
}
