package bottest

import (
	"os"
	"path/filepath"
	"testing"
)

// Testdata is the path of a file of the shared third-party test data of a chat. Where it is missing the test fails in CI
// and is skipped elsewhere.
func Testdata(t testing.TB, chat string, parts ...string) string {
	t.Helper()
	root, err := TestdataRoot(chat)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return filepath.Join(append([]string{root}, parts...)...)
}

// TestdataRoot is the folder of that data, beside the repository.
func TestdataRoot(chat string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			root := filepath.Join(dir, "..", "shared", "testdata", chat)
			_, err := os.Stat(root)
			return root, err
		}
	}
	return "", os.ErrNotExist
}
