// Command playground shows Elevate without accounts, servers or a network: the same rules, the same timers and the same
// conversation as elevate serve, with state in memory, a target that is a table in memory, and a small web chat in which
// one can be anybody. Time can be hurried, and the target made to fail.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"elevate/bot/web"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the flags.
type options struct {
	listen  string
	open    bool
	verbose bool
	at      time.Time // zero: the real time
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("playground", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address of the page; this machine's loopback only, port 0 takes a free one")
	f.BoolVar(&o.open, "open", false, "open the page in the browser")
	f.BoolVar(&o.verbose, "verbose", false, "log what happens inside")
	f.Func("at", "start the clock at this `time` instead of now, such as 2026-11-24T14:00:00Z", func(s string) (err error) {
		o.at, err = time.Parse(time.RFC3339, s)
		return err
	})
	f.Usage = func() {
		fmt.Fprintln(out, "playground shows Elevate in a browser: no accounts, no servers, nothing kept.")
		fmt.Fprintln(out, "\nUsage: playground [flags]")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		fmt.Fprintf(out, "playground takes flags only, not %q. See playground -help.\n", f.Arg(0))
		return o, errors.New("arguments given")
	}
	return o, nil
}

// run gives the exit code: 0 done, 1 failed, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := serve(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "playground:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	listener, err := listen(ctx, o.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // the server has closed it, unless it never ran
	level := slog.LevelError                // that a target fails is what its user wanted to see
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	w, err := newWorld(ctx, o.at, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	return work(ctx, listener, w, func() {
		address := "http://" + listener.Addr().String()
		fmt.Fprintf(stdout, "The Elevate playground is at %s\nEverything is in memory: stop it with Ctrl-C, and nothing is left.\n", address)
		if o.open {
			show(ctx, address, log)
		}
	})
}

// listen says what to do where the port is taken.
func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := web.Listen(ctx, address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another program: stop that, or choose another port with -listen 127.0.0.1:0", address)
	}
	return l, err
}

// work sets everything going, tells when it is ready, and serves the page until ctx ends.
func work(ctx context.Context, listener net.Listener, w *world, ready func()) error {
	g, ctx := errgroup.WithContext(ctx)
	w.start(ctx, g)
	if w.ready(ctx) == nil { // else something that was started has failed, or is to stop: Wait tells
		ready()
	}
	server := &http.Server{
		Handler:           w.page,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // pages that listen are let go at the end
	}
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(late) != nil { // somebody still holds a connection
			return server.Close()
		}
		return nil
	})
	return g.Wait()
}

// show opens the page in the desktop's browser, where there is one.
func show(ctx context.Context, address string, log *slog.Logger) {
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	if err := cmd.Start(); err != nil {
		log.WarnContext(ctx, "the browser could not be opened; open the address yourself", "err", err)
		return
	}
	go func() { _ = cmd.Wait() }() // only to leave no dead process behind
}
