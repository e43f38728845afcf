package diag

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"weight", "cookie", "maxconn", "minconn", "rise", "fall", "no"}
	for got, want := range map[string]string{
		"wieght": "weight", "weigth": "weight", "wight": "weight", "WEIGHT": "weight", "weeight": "weight",
		"maxcon": "maxconn", "mxaconn": "maxconn", "cokies": "cookie", "rice": "rise", "on": "no",
		"banana": "", "x": "", "": "", "weight": "", "zzzzzz": "",
	} {
		if near := Nearest(got, words); near != want {
			t.Errorf("Nearest(%q) = %q, want %q", got, near, want)
		}
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3},
	}
	for _, tt := range tests {
		if got := Distance(tt.a, tt.b, 10); got != tt.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
