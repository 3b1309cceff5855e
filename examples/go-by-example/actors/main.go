// An account as a goroutine: state with requests that anybody may send, one at a time.
package main

import (
	"errors"
	"fmt"
	"sync"
)

type deposit struct {
	cents uint64
	done  chan struct{}
}

type withdraw struct {
	cents uint64
	done  chan error
}

type balance struct {
	reply chan uint64
}

type account struct {
	deposits  chan deposit
	withdraws chan withdraw
	balances  chan balance
	stop      chan struct{}
	stopped   chan struct{}
}

var errStopped = errors.New("the actor is stopped")

func open(cents uint64) *account {
	a := &account{
		make(chan deposit), make(chan withdraw), make(chan balance),
		make(chan struct{}), make(chan struct{}),
	}
	go func() {
		defer close(a.stopped)
		for {
			select {
			case op := <-a.deposits:
				cents += op.cents
				close(op.done)
			case op := <-a.withdraws:
				if op.cents > cents {
					op.done <- fmt.Errorf("only %d left", cents)
				} else {
					cents -= op.cents
					op.done <- nil
				}
			case op := <-a.balances:
				op.reply <- cents
			case <-a.stop:
				return
			}
		}
	}()
	return a
}

func (a *account) Deposit(cents uint64) error {
	op := deposit{cents, make(chan struct{})}
	select {
	case a.deposits <- op:
		<-op.done
		return nil
	case <-a.stopped:
		return errStopped
	}
}

func (a *account) Withdraw(cents uint64) error {
	op := withdraw{cents, make(chan error, 1)}
	select {
	case a.withdraws <- op:
		return <-op.done
	case <-a.stopped:
		return errStopped
	}
}

func (a *account) Balance() (uint64, error) {
	op := balance{make(chan uint64, 1)}
	select {
	case a.balances <- op:
		return <-op.reply, nil
	case <-a.stopped:
		return 0, errStopped
	}
}

func show(a *account) {
	if cents, err := a.Balance(); err != nil {
		fmt.Println("balance:", err)
	} else {
		fmt.Println("balance:", cents)
	}
}

func main() {
	a := open(0)
	var wg sync.WaitGroup
	for n := uint64(1); n <= 10; n++ {
		wg.Go(func() { _ = a.Deposit(n) })
	}
	wg.Wait()
	show(a)

	if err := a.Withdraw(100); err != nil {
		fmt.Println("withdraw:", err)
	}
	_ = a.Withdraw(50)
	show(a)

	close(a.stop)
	<-a.stopped
	show(a)
}
