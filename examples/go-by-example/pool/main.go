// Using buffers again instead of making new ones.
package main

import (
	"bytes"
	"fmt"
	"sync"
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func line(n int) string {
	buffer := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buffer)
	buffer.Reset() // it may hold what its last user wrote
	fmt.Fprintf(buffer, "line %d", n)
	return buffer.String()
}

func main() {
	lines := make([]string, 5)
	var wg sync.WaitGroup
	for n := range lines {
		wg.Go(func() { lines[n] = line(n) })
	}
	wg.Wait()
	for _, line := range lines {
		fmt.Println(line)
	}
}
