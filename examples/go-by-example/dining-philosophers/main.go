// Five philosophers, five forks, and each needs two.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
)

const seats = 5

// Everybody takes the fork on the left, and then waits for the one on the right: for ever.
func naive() {
	var forks [seats]sync.Mutex
	var seated, wg sync.WaitGroup
	seated.Add(seats)
	for seat := range seats {
		wg.Go(func() {
			forks[seat].Lock()
			defer forks[seat].Unlock()
			seated.Done()
			seated.Wait() // all have one fork
			forks[(seat+1)%seats].Lock()
			defer forks[(seat+1)%seats].Unlock()
		})
	}
	wg.Wait()
}

// Everybody takes the fork with the lower number first: no circle can close.
func ordered() int {
	var forks [seats]sync.Mutex
	var wg sync.WaitGroup
	meals := make(chan int, 3*seats)
	for seat := range seats {
		wg.Go(func() {
			low, high := min(seat, (seat+1)%seats), max(seat, (seat+1)%seats)
			for range 3 {
				forks[low].Lock()
				forks[high].Lock()
				meals <- seat
				forks[high].Unlock()
				forks[low].Unlock()
			}
		})
	}
	wg.Wait()
	return len(meals)
}

func main() {
	if len(os.Args) > 1 {
		naive()
		return
	}
	// A deadlock ends the process, so the naive table gets one of its own.
	report, err := exec.Command(os.Args[0], "naive").CombinedOutput()
	fmt.Println("naive: deadlock:", err != nil && strings.Contains(string(report), "deadlock!"))
	fmt.Println("philosophers in the report:", strings.Count(string(report), "[sync.Mutex.Lock]"))
	fmt.Println("ordered: meals:", ordered())
}
