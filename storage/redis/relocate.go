package redis

import (
	"context"
	"errors"
	"net"

	goredis "github.com/redis/go-redis/v9"
)

// relocate has a client of a cluster ask anew who holds what when a node does not answer. By itself it asks when a node
// sends it elsewhere, which a dead one does not, and once a minute.
type relocate struct{ cluster *goredis.ClusterClient }

// relocating is a client of a cluster that soon finds the replica which took the place of a dead master.
func relocating(cluster *goredis.ClusterClient) *goredis.ClusterClient {
	cluster.OnNewNode(func(node *goredis.Client) { node.AddHook(relocate{cluster}) })
	return cluster
}

func (r relocate) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		r.judge(ctx, err)
		return conn, err
	}
}

func (r relocate) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		r.judge(ctx, err)
		return err
	}
}

func (r relocate) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		err := next(ctx, cmds)
		r.judge(ctx, err)
		return err
	}
}

// judge asks anew where the error is not the answer of a node. The client sees to it that this is not too often.
func (r relocate) judge(ctx context.Context, err error) {
	var answer goredis.Error
	if err != nil && !errors.As(err, &answer) {
		r.cluster.ReloadState(ctx)
	}
}
