// Ending work on somebody's behalf: by a cancellation, or at a deadline.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

func work(ctx context.Context) string {
	select {
	case <-time.After(time.Hour):
		return "finished"
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "deadline exceeded"
		}
		return "canceled"
	}
}

type userKey struct{}

func main() {
	request, cancel := context.WithCancel(context.Background())
	query, cancelQuery := context.WithTimeout(request, time.Hour)
	defer cancelQuery()
	result := make(chan string)
	go func() { result <- work(query) }()
	cancel() // the parent ends, and its children with it
	fmt.Println("query:", <-result)

	quick, cancelQuick := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancelQuick()
	fmt.Println("quick:", work(quick))

	// The cause is kept.
	caused, cancelCause := context.WithCancelCause(context.Background())
	cancelCause(errors.New("the client hung up"))
	fmt.Println("cause:", context.Cause(caused))

	// Values go down with it.
	ann := context.WithValue(context.Background(), userKey{}, "ann")
	child, cancelChild := context.WithCancel(ann)
	defer cancelChild()
	fmt.Println("user:", child.Value(userKey{}))
}
