// Several workers share one queue of jobs.
package main

import (
	"fmt"
	"slices"
	"sync"
)

func worker(jobs <-chan int, results chan<- int) {
	for job := range jobs {
		results <- job * 2
	}
}

func main() {
	jobs := make(chan int, 100)
	results := make(chan int, 100)

	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { worker(jobs, results) })
	}
	for job := 1; job <= 5; job++ {
		jobs <- job
	}
	close(jobs)

	// Somebody has to close the results when the last worker is done.
	go func() {
		wg.Wait()
		close(results)
	}()

	var all []int
	for result := range results {
		all = append(all, result)
	}
	slices.Sort(all)
	for _, result := range all {
		fmt.Println(result)
	}
}
