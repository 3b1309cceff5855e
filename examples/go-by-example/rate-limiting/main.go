// No more than one request per interval; or a few at once, and then one per interval.
package main

import (
	"fmt"
	"time"
)

const interval = 5 * time.Millisecond

func main() {
	begin := time.Now()
	limiter := time.NewTicker(interval)
	for request := 1; request <= 5; request++ {
		<-limiter.C
		fmt.Println("request", request)
	}
	limiter.Stop()
	fmt.Println("took five intervals:", time.Since(begin) >= 5*interval)

	// A bucket of three tokens, to which every interval adds one.
	begin = time.Now()
	bucket := make(chan struct{}, 3)
	for range cap(bucket) {
		bucket <- struct{}{}
	}
	fmt.Println("tokens for a burst:", len(bucket))
	go func() {
		for range time.Tick(interval) {
			bucket <- struct{}{}
		}
	}()
	for request := 1; request <= 5; request++ {
		<-bucket
		fmt.Println("bursty request", request)
	}
	fmt.Println("took two intervals:", time.Since(begin) >= 2*interval)
}
