package audit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// errBehind marks errors of giving back to the store what it lost.
var errBehind = errors.New("the store is behind the audit log, and could not be given back what it lost")

const (
	// birthmarks is how many keys, spread over the servers of a store, tell one store from another: enough that a server
	// of a cluster which comes back empty had one of them.
	birthmarks = 16
	// markedEvery is how often all of them are looked at; the first is looked at in every round.
	markedEvery = 2 * time.Second
	// witnessedFor is how long a witness is kept.
	witnessedFor = 10 * time.Minute
	// birthFile keeps the birthmarks beside the files.
	birthFile = ".store"
)

func birthKey(n int) string { return "audit:born:" + strconv.Itoa(n) }

// likeness is by what a replica knows that the store is still the one that its files tell of. A store that lost
// everything has no birthmarks, and gets new ones. One that went back to an older copy has an older head; and should a
// write of the head have been on its way in that moment, it lacks the witness of the round before the last.
type likeness struct {
	marks    int
	births   []string  // of the store that the files were compared with last; nil: not known
	saved    bool      // births are in the folder as well
	markedAt time.Time // all births were looked at last
	witness  int64     // number of the last one
	doubted  bool      // a witness was gone, and the files were not compared since
	looked   bool      // at the end of the folder, which is known from then on
	compared *Head     // the older head of a store whose files were compared with it; nil: its head was never older
}

// compare finds out whether the store may have lost what the files have, and has it given back, before anything else is
// done with either.
func (d *Drainer) compare(ctx context.Context, known Head) error {
	newest, err := d.newestLine()
	if err != nil {
		return fmt.Errorf("%w: %w", errFiles, err)
	}
	births, another, err := d.readBirths(ctx)
	if err != nil {
		return err
	}
	another = another || d.births == nil && newest.Seq > 0 || d.births != nil && !slices.Equal(births, d.births)
	switch {
	case another:
		known = Head{}
	case known.Seq >= newest.Seq:
		d.compared = nil
		return d.agree(births)
	case d.compared != nil && *d.compared == known:
		return d.agree(births)
	}
	lost, err := d.giveBack(ctx, known)
	if err != nil {
		return err
	}
	if lost && !another {
		if births, err = d.renew(ctx, births, known); err != nil {
			return err
		}
	}
	d.compared, d.doubted, d.witness = &known, false, 0
	return d.agree(births)
}

// giveBack has the store given back what it lost since a head. Nothing is healthy meanwhile: what would be activated now
// might be what the store has forgotten to be over.
func (d *Drainer) giveBack(ctx context.Context, since Head) (lost bool, err error) {
	if d.cfg.Behind == nil {
		return false, nil
	}
	news := d.health.failed(errBehind)
	if lost, err = d.cfg.Behind(ctx, since); err != nil {
		if news {
			d.log.Error("the store could not be given back what it lost; it is tried again, and nothing is activated before", "err", err)
		}
		return false, fmt.Errorf("%w: %w", errBehind, err)
	}
	return lost, d.forgetOld(ctx, since)
}

// forgetOld lets a store that went back to an older copy forget the events of that time which are in the files since.
func (d *Drainer) forgetOld(ctx context.Context, since Head) error {
	events, err := d.store.Undrained(ctx, 10*maxBatch)
	if err != nil || len(events) == 0 {
		return err
	}
	waiting := map[string]mark{}
	lines, _, err := encode(Head{}, events)
	if err != nil {
		return err
	}
	asked, err := marks(lines)
	if err != nil {
		return err
	}
	for _, m := range asked {
		waiting[m.ID] = m
	}
	var written []mark
	_, err = walkAfter(d.folders(), since.Seq, func(l rawLine) error {
		if l.err != nil || l.torn || l.seq <= since.Seq {
			return nil
		}
		if _, asked := waiting[idOf(l.raw)]; !asked {
			return nil
		}
		if m, err := marks(l.raw); err == nil && waiting[m[0].ID] == m[0] {
			written = append(written, m[0])
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errFiles, err)
	}
	return d.forget(ctx, written)
}

// folders is the folder of the files, where there is one yet.
func (d *Drainer) folders() []string {
	if _, err := os.Stat(d.cfg.Dir); err != nil {
		return nil
	}
	return []string{d.cfg.Dir}
}

// newestLine is the last line that this replica knows of. What stands in the folder is looked up once; afterwards it is
// known, or comes with the lease.
func (d *Drainer) newestLine() (newest Head, err error) {
	there := Head{}
	if d.files != nil {
		there = d.files.Tail()
	} else if !d.looked {
		if there, err = lastLine(d.cfg.Dir); err != nil {
			return Head{}, err
		}
	}
	if d.looked = true; there.Seq > d.head.Head.Seq {
		return there, nil
	}
	return d.head.Head, nil
}

// readBirths reads the birthmarks of the store, which gets new ones in place of those that it has lost; gone tells that
// it is another one for a different reason. Those that the folder was compared with last are read from there where this
// replica does not know them, or another that shares the folder may know better.
func (d *Drainer) readBirths(ctx context.Context) (births []string, gone bool, err error) {
	if d.births == nil {
		d.recall()
	}
	births = slices.Clone(d.births)
	now, n := d.cfg.Log.Now(), 1
	all := births == nil || now.Sub(d.markedAt).Abs() >= markedEvery
	if all {
		births, n = make([]string, d.marks), d.marks
	}
	for i := 0; i < n; i++ {
		mark, _, err := d.store.Once(ctx, birthKey(i), []byte(rand.Text()), forever)
		if err != nil {
			return nil, false, fmt.Errorf("look whether the store is the one that it was: %w", err)
		}
		if births[i] != string(mark) {
			births[i], n = string(mark), d.marks // the others may be new as well
		}
	}
	if all {
		if err := d.testify(ctx); err != nil {
			return nil, false, err
		}
		d.markedAt = now
	}
	if d.births != nil && !slices.Equal(births, d.births) {
		d.recall()
	}
	return births, d.doubted, nil
}

// testify leaves a witness in the store, and asks for the one before the last.
func (d *Drainer) testify(ctx context.Context) error {
	key := func(n int64) string { return fmt.Sprintf("audit:witness:%s:%d", d.cfg.Holder, n) }
	if before := d.witness - 1; before > 0 {
		_, gone, err := d.store.Once(ctx, key(before), nil, witnessedFor)
		if err != nil {
			return fmt.Errorf("ask for a witness: %w", err)
		}
		d.doubted = d.doubted || gone
	}
	if _, _, err := d.store.Once(ctx, key(d.witness+1), nil, witnessedFor); err != nil {
		return fmt.Errorf("leave a witness: %w", err)
	}
	d.witness++
	return nil
}

// renew gives the store another birthmark, for replicas with folders of their own to compare those as well: they may not
// have seen the older head. Whoever finds the same gives the same.
func (d *Drainer) renew(ctx context.Context, births []string, known Head) ([]string, error) {
	sum := sha256.Sum256([]byte(births[0] + known.String()))
	births[0] = hex.EncodeToString(sum[:12])
	if err := d.store.Put(ctx, birthKey(0), []byte(births[0]), forever); err != nil {
		return nil, fmt.Errorf("tell other replicas that the store went back: %w", err)
	}
	return births, nil
}

// agree notes that the files were compared with the store that has these birthmarks.
func (d *Drainer) agree(births []string) error {
	if !slices.Equal(births, d.births) {
		d.births, d.saved = births, false
	}
	if d.saved || d.folders() == nil {
		return nil
	}
	text, err := json.Marshal(births)
	if err == nil {
		err = replaceFile(filepath.Join(d.cfg.Dir, birthFile), text)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errFiles, err)
	}
	d.saved = true
	return nil
}

// recall reads the birthmarks from the folder. A file that cannot be read is as good as none: all is compared.
func (d *Drainer) recall() {
	text, err := os.ReadFile(filepath.Join(d.cfg.Dir, birthFile))
	var births []string
	if err == nil {
		err = json.Unmarshal(text, &births)
	}
	if err == nil && len(births) == d.marks {
		d.births, d.saved = births, true
		return
	}
	if !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("audit log: which store the folder belongs to is not known; the two are compared as a whole", "err", err)
	}
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}
