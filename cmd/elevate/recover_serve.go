package main

import (
	"context"
	"fmt"
	"time"

	"elevate/workflows"
	"elevate/workflows/audit"
)

// openEvidence makes the drainer, and what rebuilds the store from its files.
func (a *app) openEvidence() (err error) {
	a.recovery, err = workflows.NewRecovery(workflows.RecoveryConfig{
		Store: a.store, Paths: []string{a.cfg.Audit.Dir}, OverdueAfter: a.cfg.OverdueAfter, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.drainer, err = audit.NewDrainer(audit.DrainConfig{
		Dir: a.cfg.Audit.Dir, Holder: replica(), Behind: a.recovery.Behind, Log: audit.Config{Logger: a.log},
	}, a.store)
	return err
}

// comparing bounds the wait for the store to be compared with the audit log, and for what it lost to be given back.
const comparing = 10 * time.Second

// compared tells why the store may not have all that the audit log has, or nil.
func (a *app) compared(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, comparing)
	defer cancel()
	if err := a.drainer.Confirm(ctx); err != nil {
		return fmt.Errorf("the store could not be compared with the audit log: %w", err)
	}
	return nil
}

// onceCompared runs the timers when the store has been compared with the audit log: by an older copy of it grants would
// be ended that have been extended, or ended again. Endings must not wait long for evidence, so the wait is short.
func (a *app) onceCompared(timers func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := a.compared(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("timers are worked as the store has them", "err", err)
		}
		return timers(ctx)
	}
}
