package redis

import goredis "github.com/redis/go-redis/v9"

// Connect makes a client of the server that a store with this configuration would use, for what is asked of the server
// and not of the store. It connects at the first command. The caller closes it.
func Connect(cfg Config) (goredis.UniversalClient, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	Quiet()
	return cfg.connect(true)
}
