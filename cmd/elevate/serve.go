package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

func newServeCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the bot",
		Long: `Run the bot: chats, API, timers and endings, until it is told to stop (SIGTERM or Ctrl-C). Any number of replicas
may run on one Redis. A stop lets calls to targets that are under way finish for up to ten seconds.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd, path) },
	}
	configFlag(cmd, &path)
	return cmd
}

func serve(cmd *cobra.Command, path string) (err error) {
	ctx := cmd.Context()
	cfg, made, err := load(path, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	log := slog.New(cfg.Log.Handler(cmd.ErrOrStderr()))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("http.listen: %w; stop what listens there, or choose another address", err)
	}
	defer func() { _ = listener.Close() }() // the server has closed it, unless it never ran
	app, err := assemble(ctx, cfg, made, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.close()) }()
	log.Info("elevate is running", "version", build().Version, "listen", listener.Addr().String(), "store", app.class,
		"chats", app.chats, "roles", len(cfg.Roles), "connectors", len(made))
	g, ctx := errgroup.WithContext(ctx)
	app.start(ctx, g)
	g.Go(func() error {
		app.unread.wait(ctx)
		return serveHTTP(ctx, listener, app.handler, log)
	})
	err = g.Wait()
	app.finish(context.WithoutCancel(ctx))
	log.Info("elevate has stopped", "err", err)
	return err
}

// serveHTTP serves until ctx ends, and then lets requests under way finish.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err := server.Shutdown(late)
		if err != nil { // somebody holds a connection without using it
			err = server.Close()
		}
		stopped <- err
	})
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http: %w", err)
	}
	return <-stopped
}

// replica names this process among those on one store.
func replica() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d-%d", host, os.Getpid(), time.Now().UnixNano())
}
