package e2e

// Race tells whether the tests, and with them the program, are built with the race
// detector, which takes memory and time of its own.
const Race = raceEnabled
