package factor

import (
	"context"
	"fmt"

	"elevate/workflows/access"
	"elevate/workflows/seal"
)

// Reseal seals anew, with the first key, every seed and security key that another key sealed. left is how many of those
// whom the directory knows still need an older key.
func (f *Factors) Reseal(ctx context.Context) (left int, err error) {
	people, err := f.everybody(ctx)
	if err != nil {
		return 0, fmt.Errorf("list people: %w", err)
	}
	for _, p := range people {
		stored, err := f.cfg.Store.Factor(ctx, p.ID)
		if err != nil {
			return left, fmt.Errorf("load the factor of %s: %w", p.ID, err)
		}
		if stored.Doubted {
			continue
		}
		opens, err := f.resealed(ctx, f.box, p.ID, stored.ID, stored.Sealed)
		for _, k := range stored.Keys {
			if err == nil {
				var also bool
				also, err = f.resealed(ctx, f.keyBox, p.ID, k.ID, k.Sealed)
				opens = opens && also
			}
		}
		if err != nil {
			return left, err
		}
		if !opens {
			left++
		}
	}
	return left, nil
}

// resealed seals one thing anew, where it was not sealed with the first key. False where it does not open.
func (f *Factors) resealed(ctx context.Context, box *seal.Box, p access.PersonID, id, sealed string) (bool, error) {
	if id == "" || box.Current(sealed) {
		return true, nil
	}
	text, err := box.Open(sealed, string(p), id)
	if err != nil {
		f.log.ErrorContext(ctx, "a second factor does not open; put its key back among secrets.keys, or reset it", "person", p, "err", err)
		return false, nil
	}
	if _, err := f.cfg.Store.Reseal(ctx, p, id, sealed, box.Seal(text, string(p), id)); err != nil {
		return false, fmt.Errorf("seal the factor of %s anew: %w", p, err)
	}
	f.log.InfoContext(ctx, "a second factor was sealed with the first key", "person", p)
	return true, nil
}
