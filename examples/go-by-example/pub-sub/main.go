// Everyone who subscribed to a topic gets every message published to it.
package main

import (
	"fmt"
	"sync"
)

type broker struct {
	mu     sync.Mutex
	topics map[string][]chan string
}

func (b *broker) subscribe(topic string) <-chan string {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch := make(chan string, 8)
	b.topics[topic] = append(b.topics[topic], ch)
	return ch
}

func (b *broker) publish(topic, message string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ch := range b.topics[topic] {
		ch <- message
	}
	return len(b.topics[topic])
}

func (b *broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, subscribers := range b.topics {
		for _, ch := range subscribers {
			close(ch)
		}
	}
	b.topics = nil
}

func main() {
	b := broker{topics: map[string][]chan string{}}
	ann := b.subscribe("news")
	bob := b.subscribe("news")
	cid := b.subscribe("sport")

	fmt.Println("reached:", b.publish("news", "rain tomorrow"))
	fmt.Println("reached:", b.publish("sport", "two to one"))
	fmt.Println("reached:", b.publish("music", "nobody hears this"))
	b.close()

	for message := range ann {
		fmt.Println("ann:", message)
	}
	for message := range bob {
		fmt.Println("bob:", message)
	}
	for message := range cid {
		fmt.Println("cid:", message)
	}
}
