// A lost update: every access is locked, and the program is wrong all the same.
package main

import (
	"fmt"
	"runtime"
	"sync"
)

type account struct {
	mu    sync.Mutex
	cents int
}

func (a *account) balance() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cents
}

func (a *account) setBalance(cents int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cents = cents
}

// Wrong: between the two calls somebody else may pay in, and that payment is overwritten.
func payInTwoSteps(a *account) {
	cents := a.balance()
	runtime.Gosched() // in real life: a request, a query ..
	a.setBalance(cents + 1)
}

// Right: reading and writing are one step.
func payInOneStep(a *account) {
	runtime.Gosched()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cents++
}

// A stress run: many goroutines, many rounds, and a look at the sum after each.
func losesUpdates(pay func(*account)) bool {
	const goroutines, rounds = 8, 200
	for range rounds {
		var a account
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() { pay(&a) })
		}
		wg.Wait()
		if a.balance() != goroutines {
			return true
		}
	}
	return false
}

func main() {
	fmt.Println("two steps, updates lost:", losesUpdates(payInTwoSteps))
	fmt.Println("one step, updates lost:", losesUpdates(payInOneStep))
}
