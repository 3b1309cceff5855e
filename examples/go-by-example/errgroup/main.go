// Goroutines that stand or fall together: the first error ends the others.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// The core of golang.org/x/sync/errgroup, written out so that this file needs no module.
type group struct {
	wg     sync.WaitGroup
	once   sync.Once
	cancel context.CancelFunc
	err    error
}

func (g *group) Go(f func() error) {
	g.wg.Go(func() {
		if err := f(); err != nil {
			g.once.Do(func() {
				g.err = err
				g.cancel()
			})
		}
	})
}

func (g *group) Wait() error {
	g.wg.Wait()
	g.cancel()
	return g.err
}

func withContext(parent context.Context) (*group, context.Context) {
	ctx, cancel := context.WithCancel(parent)
	return &group{cancel: cancel}, ctx
}

func fetch(ctx context.Context, page int) error {
	switch page {
	case 1:
		return nil
	case 2:
		return fmt.Errorf("page %d: not found", page)
	default: // a slow one
		select {
		case <-time.After(time.Hour):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func main() {
	g, ctx := withContext(context.Background())
	for page := 1; page <= 4; page++ {
		g.Go(func() error { return fetch(ctx, page) })
	}
	fmt.Println("pages 1 to 4:", g.Wait())

	g, ctx = withContext(context.Background())
	g.Go(func() error { return fetch(ctx, 1) })
	fmt.Println("page 1 alone failed:", g.Wait() != nil)
}
