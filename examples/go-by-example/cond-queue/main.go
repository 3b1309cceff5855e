// A bounded queue made of a mutex and two condition variables.
package main

import (
	"fmt"
	"sync"
)

type queue struct {
	mu                sync.Mutex
	notEmpty, notFull *sync.Cond
	items             []int
	capacity          int
}

func newQueue(capacity int) *queue {
	q := &queue{capacity: capacity}
	q.notEmpty = sync.NewCond(&q.mu)
	q.notFull = sync.NewCond(&q.mu)
	return q
}

func (q *queue) put(item int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == q.capacity {
		q.notFull.Wait()
	}
	q.items = append(q.items, item)
	q.notEmpty.Signal()
}

func (q *queue) take() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 {
		q.notEmpty.Wait()
	}
	item := q.items[0]
	q.items = q.items[1:]
	q.notFull.Signal()
	return item
}

func main() {
	q := newQueue(2)
	for producer := range 3 {
		go func() {
			for n := range 10 {
				q.put(producer*10 + n)
			}
		}()
	}
	sum := 0
	for range 30 {
		sum += q.take()
	}
	fmt.Println("sum:", sum)
	fmt.Println("left:", len(q.items))
}
