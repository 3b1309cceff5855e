// The works of versus in Go: an actor is a goroutine that owns its state and receives from a
// channel of 64 places; an ask carries a channel of one place for its answer.
//
// Usage: main WORK OPERATIONS. Prints a JSON row per figure, as versus does, or nothing when there
// is no such work here. `versus` runs it once per round, after an eighth as a warm-up.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const mailbox = 64

func check(ok bool, what ...any) {
	if !ok {
		fmt.Fprintln(os.Stderr, append([]any{"wrong:"}, what...)...)
		os.Exit(1)
	}
}

// share says how many of ops operations fall to one of so many tasks.
func share(ops, tasks, task int) int {
	if task < ops%tasks {
		return ops/tasks + 1
	}
	return ops / tasks
}

func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

// The counter: an actor that owns a sum.

// It is small, because a channel holds 64 of them in place.
type msg struct {
	n     uint64
	serve time.Duration // negative: crash
	reply chan uint64
}

type counter chan msg

var alive atomic.Int64

func newCounter(sum uint64) counter {
	c := make(counter, mailbox)
	alive.Add(1)
	go func() {
		c.loop(sum)
		alive.Add(-1)
	}()
	return c
}

func (c counter) loop(sum uint64) {
	for m := range c {
		if m.serve < 0 {
			panic("crash on purpose")
		}
		if m.serve > 0 {
			spin(m.serve)
		}
		sum += m.n
		if m.reply != nil {
			m.reply <- sum
		}
	}
}

func (c counter) add(n uint64) uint64 {
	reply := make(chan uint64, 1)
	c <- msg{n: n, reply: reply}
	return <-reply
}

func ask(ops int) time.Duration {
	c := newCounter(0)
	start := time.Now()
	for i := 1; i <= ops; i++ {
		check(c.add(1) == uint64(i), "sum")
	}
	took := time.Since(start)
	close(c)
	return took
}

func askMany(ops, askers, actors int) time.Duration {
	counters := make([]counter, actors)
	for i := range counters {
		counters[i] = newCounter(0)
	}
	var all sync.WaitGroup
	start := time.Now()
	for task := range askers {
		all.Add(1)
		go func() {
			defer all.Done()
			c, last := counters[task%actors], uint64(0)
			for range share(ops, askers, task) {
				sum := c.add(1)
				check(sum > last, "sums must grow")
				last = sum
			}
		}()
	}
	all.Wait()
	took := time.Since(start)
	sum := uint64(0)
	for _, c := range counters {
		sum += c.add(0)
		close(c)
	}
	check(sum == uint64(ops), "sum", sum)
	return took
}

func tell(ops, producers int) time.Duration {
	c := newCounter(0)
	var all sync.WaitGroup
	start := time.Now()
	for task := range producers {
		all.Add(1)
		go func() {
			defer all.Done()
			for range share(ops, producers, task) {
				c <- msg{n: 1}
			}
		}()
	}
	all.Wait()
	check(c.add(0) == uint64(ops), "sum")
	took := time.Since(start)
	close(c)
	return took
}

// The link: an actor that passes a number on, less one; the last one says that it is done.

type link chan int

func newLink(next link, zeros int, done chan struct{}, self link) link {
	go func() {
		for left := range self {
			if left > 0 {
				next <- left - 1
				continue
			}
			zeros--
			if zeros == 0 {
				close(done)
			}
		}
	}()
	return self
}

func rings(ops, rings, links int) time.Duration {
	all := make([][]link, rings)
	dones := make([]chan struct{}, rings)
	for r := range all {
		dones[r] = make(chan struct{})
		ring := make([]link, links)
		for i := range ring {
			ring[i] = make(link, mailbox)
		}
		for i, self := range ring {
			newLink(ring[(i+1)%links], 1, dones[r], self)
		}
		all[r] = ring
	}
	start := time.Now()
	for r, ring := range all {
		ring[0] <- share(ops, rings, r) - 1
	}
	for _, done := range dones {
		<-done
	}
	took := time.Since(start)
	for _, ring := range all {
		for _, link := range ring {
			close(link)
		}
	}
	return took
}

func fanOut(ops, width int) time.Duration {
	done := make(chan struct{})
	last := newLink(nil, ops, done, make(link, mailbox))
	links := make([]link, width)
	for i := range links {
		links[i] = newLink(last, 0, nil, make(link, mailbox))
	}
	start := time.Now()
	for i := range ops {
		links[i%width] <- 1
	}
	<-done
	return time.Since(start)
}

func spawn(ops int) time.Duration {
	start := time.Now()
	for i := range ops {
		c := newCounter(uint64(i))
		check(c.add(1) == uint64(i)+1, "sum")
		close(c)
	}
	for alive.Load() > 0 {
		runtime.Gosched()
	}
	return time.Since(start)
}

func skynet(leaves int) time.Duration {
	var grow func(above chan int, num, leaves int)
	grow = func(above chan int, num, leaves int) {
		if leaves == 1 {
			above <- num
			return
		}
		own, sum, below := make(chan int, 10), 0, leaves/10
		for i := range 10 {
			go grow(own, num+i*below, below)
		}
		for range 10 {
			sum += <-own
		}
		above <- sum
	}
	full := 1
	for full*10 <= leaves {
		full *= 10
	}
	top := make(chan int, 1)
	start := time.Now()
	grow(top, 0, full)
	check(<-top == full*(full-1)/2, "sum")
	return time.Since(start)
}

func restarts(ops int) time.Duration {
	c := make(counter, mailbox)
	once := func() {
		defer func() { recover() }()
		c.loop(0)
	}
	go func() {
		for {
			once()
		}
	}()
	start := time.Now()
	for range ops {
		check(c.add(2) == 2, "a fresh sum")
		c <- msg{serve: -1}
		check(c.add(0) == 0, "a fresh sum")
	}
	return time.Since(start)
}

// Big messages.

type page struct {
	bytes [1024]byte
	reply chan uint64
}

func pages(ops int) time.Duration {
	bulk := make(chan page, mailbox)
	go func() {
		for p := range bulk {
			p.reply <- uint64(p.bytes[0]) + uint64(p.bytes[1023])
		}
	}()
	start := time.Now()
	for i := range ops {
		p := page{reply: make(chan uint64, 1)}
		p.bytes[0], p.bytes[1023] = byte(i), 200
		bulk <- p
		check(<-p.reply == uint64(byte(i))+200, "page")
	}
	close(bulk)
	return time.Since(start)
}

type block struct {
	bytes []byte
	reply chan []byte
}

func blocks(ops int) time.Duration {
	bulk := make(chan block, mailbox)
	go func() {
		for b := range bulk {
			b.bytes[0]++
			b.reply <- b.bytes
		}
	}()
	bytes := make([]byte, 1<<20)
	start := time.Now()
	for i := range ops {
		reply := make(chan []byte, 1)
		bulk <- block{bytes, reply}
		bytes = <-reply
		check(bytes[0] == byte(i+1), "block")
	}
	close(bulk)
	return time.Since(start)
}

// Latencies and gaps.

func quantiles(times []time.Duration, of ...float64) map[string]float64 {
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	out := map[string]float64{}
	for _, q := range of {
		at := times[int(math.Round(float64(len(times)-1)*q))]
		out[", p"+strconv.FormatFloat(q*100, 'g', -1, 64)] = float64(at) / 1e6
	}
	return out
}

func latency(ops int, load float64) map[string]float64 {
	const service = 100 * time.Microsecond
	c := newCounter(0)
	answers := make(chan time.Duration, ops)
	go func() {
		// The generator has a thread of its own, as in the Rust peers.
		runtime.LockOSThread()
		gap := service.Seconds() / load
		seed, at, start := uint64(1), 0.0, time.Now()
		for range ops {
			seed = seed*6364136223846793005 + 1
			at += -gap * math.Log(1-float64(seed>>11)/float64(uint64(1)<<53))
			due := start.Add(time.Duration(at * 1e9))
			time.Sleep(time.Until(due))
			go func() {
				reply := make(chan uint64, 1)
				c <- msg{n: 1, serve: service, reply: reply}
				<-reply
				answers <- time.Since(due)
			}()
		}
	}()
	times := make([]time.Duration, 0, ops)
	for range ops {
		times = append(times, <-answers)
	}
	return quantiles(times, 0.5, 0.99, 0.999)
}

func gaps(offence func()) map[string]float64 {
	const lead = 200 * time.Millisecond
	var over atomic.Bool
	var all sync.WaitGroup
	var asker, ticker time.Duration
	c := newCounter(0)
	all.Add(2)
	go func() {
		defer all.Done()
		for last := time.Now(); !over.Load(); {
			c.add(1)
			now := time.Now()
			asker, last = max(asker, now.Sub(last)), now
		}
	}()
	go func() {
		defer all.Done()
		for last := time.Now(); !over.Load(); {
			time.Sleep(time.Millisecond)
			now := time.Now()
			ticker, last = max(ticker, now.Sub(last)-time.Millisecond), now
		}
	}()
	time.Sleep(lead)
	var offenders sync.WaitGroup
	for range runtime.NumCPU() {
		offenders.Add(1)
		begun := make(chan struct{})
		go func() {
			close(begun)
			offence()
			offenders.Done()
		}()
		<-begun
	}
	offenders.Wait()
	time.Sleep(lead)
	over.Store(true)
	all.Wait()
	return map[string]float64{
		", asker":       float64(asker) / 1e6,
		", 1 ms ticker": float64(ticker) / 1e6,
	}
}

func blockThread() {
	rest := syscall.NsecToTimespec(int64(time.Second))
	for syscall.Nanosleep(&rest, &rest) == syscall.EINTR {
	}
}

// Goroutines, timers, locks.

func spawnTask(ops int) time.Duration {
	start := time.Now()
	for i := range ops {
		answer := make(chan int, 1)
		go func() { answer <- i + 1 }()
		check(<-answer == i+1, "answer")
	}
	return time.Since(start)
}

func sleepers(n int) map[string]float64 {
	late := make([]time.Duration, n)
	var all sync.WaitGroup
	for i := range late {
		all.Add(1)
		go func() {
			defer all.Done()
			d := time.Duration(200_000+i*7919%1_000_000) * time.Microsecond
			due := time.Now().Add(d)
			time.Sleep(d)
			late[i] = time.Since(due)
			check(late[i] >= 0, "too early")
		}()
	}
	all.Wait()
	return quantiles(late, 0.5, 0.99)
}

func selectEight(ops int) time.Duration {
	var c [8]chan int
	for i := range c {
		c[i] = make(chan int, 1)
	}
	start := time.Now()
	go func() {
		for i := range ops {
			c[i%8] <- i
		}
	}()
	sum := 0
	for range ops {
		var v int
		select {
		case v = <-c[0]:
		case v = <-c[1]:
		case v = <-c[2]:
		case v = <-c[3]:
		case v = <-c[4]:
		case v = <-c[5]:
		case v = <-c[6]:
		case v = <-c[7]:
		}
		sum += v
	}
	check(sum == ops*(ops-1)/2, "sum")
	return time.Since(start)
}

func contend(ops int, work func(task, ops int)) time.Duration {
	const contenders = 16
	var all sync.WaitGroup
	start := time.Now()
	for task := range contenders {
		all.Add(1)
		go func() {
			defer all.Done()
			work(task, share(ops, contenders, task))
		}()
	}
	all.Wait()
	return time.Since(start)
}

func mutex(ops int) time.Duration {
	var lock sync.Mutex
	sum := 0
	took := contend(ops, func(_, ops int) {
		for range ops {
			lock.Lock()
			sum++
			lock.Unlock()
		}
	})
	check(sum == ops, "sum")
	return took
}

func rwlock(ops int) time.Duration {
	var lock sync.RWMutex
	var writes atomic.Int64
	sum := 0
	took := contend(ops, func(_, ops int) {
		last := 0
		for i := range ops {
			if i%10 == 0 {
				lock.Lock()
				sum++
				lock.Unlock()
				writes.Add(1)
				continue
			}
			lock.RLock()
			now := sum
			lock.RUnlock()
			check(now >= last, "sums must grow")
			last = now
		}
	})
	check(int64(sum) == writes.Load(), "sum")
	return took
}

// Channels.

func pair(ops int) time.Duration {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for ball := range ping {
			pong <- ball + 1
		}
	}()
	start := time.Now()
	for ball := range (ops + 1) / 2 {
		ping <- ball
		check(<-pong == ball+1, "ball")
	}
	took := time.Since(start)
	close(ping)
	return took
}

func stream(ops, capacity, senders int) time.Duration {
	c := make(chan int, capacity)
	start := time.Now()
	for task := range senders {
		go func() {
			for i := range share(ops, senders, task) {
				c <- i
			}
		}()
	}
	sum, sent := 0, 0
	for range ops {
		sum += <-c
	}
	took := time.Since(start)
	for task := range senders {
		n := share(ops, senders, task)
		sent += n * (n - 1) / 2
	}
	check(sum == sent, "sum")
	return took
}

// Memory and CPU of what is idle.

type memory struct{ used, resident float64 }

func memoryNow() memory {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	statm, _ := os.ReadFile("/proc/self/statm")
	pages, _ := strconv.ParseFloat(strings.Fields(string(statm) + " 0 0")[1], 64)
	return memory{float64(stats.HeapAlloc + stats.StackInuse), pages * 4096}
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func idle(work string, ops int, start func(i int) counter) {
	counters := make([]counter, ops)
	before := memoryNow()
	for i := range counters {
		counters[i] = start(i)
	}
	defer runtime.KeepAlive(counters)
	time.Sleep(500 * time.Millisecond)
	after := memoryNow()
	each := func(grown float64) float64 { return grown / float64(ops) }
	note := fmt.Sprintf("heap and stacks; resident memory grew by %.0f each",
		each(after.resident-before.resident))
	row(work, "bytes", each(after.used-before.used), note)
	if work == "idle actor, never spoken to" {
		return
	}
	time.Sleep(time.Second)
	cpu := cpuTime()
	time.Sleep(time.Second)
	row(work+", CPU per second of all", "ms", float64(cpuTime()-cpu)/1e6,
		fmt.Sprintf("%d of them, for one second", ops))
}

func row(work, unit string, value float64, note string) {
	line, err := json.Marshal(map[string]any{
		"work": work, "peer": "Go", unit: value, "note": note,
	})
	check(err == nil, err)
	fmt.Println(string(line))
}

func main() {
	work := os.Args[1]
	ops, err := strconv.Atoi(os.Args[2])
	check(err == nil, "the number of operations")
	timed := map[string]func(int) time.Duration{
		"ask":                               ask,
		"ask, 8 askers, 1 actor":            func(ops int) time.Duration { return askMany(ops, 8, 1) },
		"ask, 1,000 askers, 1 actor":        func(ops int) time.Duration { return askMany(ops, 1000, 1) },
		"ask, 64 pairs":                     func(ops int) time.Duration { return askMany(ops, 64, 64) },
		"tell, 1 producer":                  func(ops int) time.Duration { return tell(ops, 1) },
		"tell, 4 producers":                 func(ops int) time.Duration { return tell(ops, 4) },
		"tell, 16 producers":                func(ops int) time.Duration { return tell(ops, 16) },
		"ping-pong, one hop":                func(ops int) time.Duration { return rings(ops, 1, 2) },
		"64 ping-pongs, one hop":            func(ops int) time.Duration { return rings(ops, 64, 2) },
		"ring of 503, one hop":              func(ops int) time.Duration { return rings(ops, 1, 503) },
		"fan-out to 16, fan-in, per item":   func(ops int) time.Duration { return fanOut(ops, 16) },
		"spawn, one ask, end":               spawn,
		"skynet, per leaf":                  skynet,
		"restart after a crash":             restarts,
		"ask with 1 KiB inline":             pages,
		"ask with 1 MiB boxed, handed back": blocks,
		"spawn task and join":               spawnTask,
		"skynet of tasks, per leaf":         skynet,
		"select over 8 channels":            selectEight,
		"mutex, 16 tasks":                   mutex,
		"rwlock, 16 tasks, 1 write in 10":   rwlock,
		"rendezvous ping-pong, one hop":     pair,
		"rendezvous, one way":               func(ops int) time.Duration { return stream(ops, 0, 1) },
		"128 buffered, one way":             func(ops int) time.Duration { return stream(ops, 128, 1) },
		"128 buffered, 4 senders":           func(ops int) time.Duration { return stream(ops, 128, 4) },
	}
	if run, ok := timed[work]; ok {
		run(max(ops/8, 1))
		row(work, "ns", float64(run(ops))/float64(ops), "")
		return
	}
	readings := map[string]func() map[string]float64{
		"ask, actor at 50% load":                  func() map[string]float64 { return latency(ops, 0.5) },
		"ask, actor at 90% load":                  func() map[string]float64 { return latency(ops, 0.9) },
		"worst gap, no load":                      func() map[string]float64 { return gaps(func() {}) },
		"worst gap, a task per core blocks 1 s":   func() map[string]float64 { return gaps(blockThread) },
		"worst gap, a task per core computes 1 s": func() map[string]float64 { return gaps(func() { spin(time.Second) }) },
		"100,000 sleepers, lateness":              func() map[string]float64 { return sleepers(ops) },
	}
	if read, ok := readings[work]; ok {
		for of, ms := range read() {
			row(work+of, "ms", ms, "")
		}
		return
	}
	switch work {
	case "idle actor, never spoken to":
		idle(work, ops, func(i int) counter { return newCounter(uint64(i)) })
	case "idle actor, after one ask":
		idle(work, ops, func(i int) counter {
			c := newCounter(uint64(i))
			check(c.add(1) == uint64(i)+1, "sum")
			return c
		})
	case "idle task, asleep for an hour":
		idle(work, ops, func(int) counter {
			go time.Sleep(time.Hour)
			return nil
		})
	}
}
