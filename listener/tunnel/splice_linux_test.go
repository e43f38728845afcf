package tunnel

func keptPipes() int {
	pipes.Lock()
	defer pipes.Unlock()
	return len(pipes.free)
}
