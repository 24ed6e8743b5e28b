// Writes cases.json: what Go's regexp package, the reference for the syntax, says of patterns and values.
//
//	go run make.go > cases.json
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"regexp"
	"strings"
)

type testCase struct {
	Pattern string `json:"pattern"`
	// Absent where the pattern does not compile. One character for each value: 1 where MatchString says yes.
	Match string `json:"match,omitempty"`
	// The same for a match that must be the whole value.
	Whole string `json:"whole,omitempty"`
}

var values = []string{
	"", "a", "b", "ab", "ba", "aab", "xa", "ax", "xax", "a\n", "\na", "a\nb", "x\na\nx", "A", "aa", "aaaa", "^a$", "a$", "a|b", "[a]", "a.b",
	"alice@example.com", "alice@example.com.evil.example", "xalice@example.com", "alice@exampleXcom", "ALICE@EXAMPLE.COM",
	"https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
	"https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main-evil",
	"https://github.com.evil.example/acme/app/.github/workflows/release.yml@refs/heads/main",
	"ä", "é", "日本", "\u212a", "K",
}

var written = []string{
	"", "a", "^a$", "^a", "a$", `\Aa\z`, `\Aa$`, `^a\z`, "^a|b$", "^(a|b)$", "^(?:a|b)$", "(^a$)", "(?i)^a$", "(?m)^a$", "^(?m)a$", "^a(?m)$", "(?s)^a.b$",
	"^a.b$", "(?m:^a$)", "^(?i)a$", "^(?i:a)$", "^(?-m)a$", "(?i-m)^a$", "(?im)^a$", "^(?m:a$)|b$", "^^a$$", "^*a$", "^?a$", "^+a$", "^{0}a$", "^{0,1}a$", "a^b$", "^a$b$",
	`^a\$`, `^a\\$`, `\^a$`, "^a$*", "^a$?", `^a\z?`, "^[$]", "^[^a]$", "^[]a]$", "^[^]a]$", "^[a|b]$", "^[[:alpha:]]$", "^[[:alpha:]|]$", `^[\]|]$`, `^\Qa|b\E$`, `^\Qa$`, `\Q^a$`,
	"^(?P<n>a)$", "^(?<n>a)$", `^\pL$`, `^\p{Greek}$`, `^\x61$`, `^\x{61}$`, "^a{2}$", "^a{2,}$", "^a{,2}$", "^{a}$", "^a{1001}$", "^(a{100}){100}$", "(?U)^a+$", "^a+?$",
	`^alice@example\.com$`, "^alice@example.com$", `alice@example\.com`, `(?i)^alice@example\.com$`, `^https://github\.com/acme/app/\.github/workflows/release\.yml@refs/heads/main$`,
	`^https://github\.com/acme/`, "acme/app", ".*", "^.*$", "^(.*)$", "(?s)^.*$", "^$", "$^", "^", "$", `\z\A`, "(", ")", "[", "a**", `\`, `\8`, `(?=a)`, `(?!a)`, `(?<=a)`, `(a)\1`, "(?#a)", "*", "a{2}{3}", "[b-a]", `\pX`, "(?z)a",
	"^(a|b$)", "(^a|b)$", "^(^a$)$", "^a$|^b$", "^(?:a$|b)$", "(?i)(?s)^a$", "(?i)x^a$", `^\d+$`, `^[\d]$`, `^[^\d|]$`, "^(?i)k$", "^(((((a)))))$",
}

var atoms = []string{"a", "b", "x", ".", "[ab]", "[^a]", "[$]", "[|]", "[]a]", `\$`, `\^`, `\|`, `\.`, `\\`, "ab", "@", "\n", `\z`, `\A`, "$", "^", "$", "^", `\n`, "(?i)", "(?m)", "(?s)", "(?U)", "(?-m)"}

func random(r *rand.Rand, depth int) string {
	var out strings.Builder
	for n := r.Intn(4); n >= 0; n-- {
		switch k := r.Intn(12); {
		case k < 7 || depth == 0:
			out.WriteString(atoms[r.Intn(len(atoms))])
		case k < 9:
			out.WriteString([]string{"(", "(?:", "(?i:", "(?m:", fmt.Sprintf("(?P<n%d>", r.Intn(1e6))}[r.Intn(5)] + random(r, depth-1) + ")")
		case k < 10:
			out.WriteString("|")
		default:
			out.WriteString(atoms[r.Intn(len(atoms))] + []string{"*", "+", "?", "*?", "{2}", "{0,1}"}[r.Intn(6)])
		}
	}
	return out.String()
}

func main() {
	r := rand.New(rand.NewSource(1))
	patterns := append([]string{}, written...)
	seen := map[string]bool{}
	for len(seen) < 1000 {
		p := random(r, 2)
		switch r.Intn(4) {
		case 0:
			p = "^" + p + "$"
		case 1:
			p = "(?i)^" + p + `\z`
		case 2:
			p = `\A(` + p + ")$"
		}
		if !seen[p] {
			seen[p] = true
			patterns = append(patterns, p)
		}
	}
	cases := []testCase{}
	for _, p := range patterns {
		one := testCase{Pattern: p}
		if re, err := regexp.Compile(p); err == nil {
			whole, err := regexp.Compile(`\A(?:` + p + `)\z`)
			if err != nil { // \Q without \E
				whole = regexp.MustCompile(`\A(?:` + p + `\E)\z`)
			}
			for _, v := range values {
				one.Match += bit(re.MatchString(v))
				one.Whole += bit(whole.MatchString(v))
			}
		}
		cases = append(cases, one)
	}
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(map[string]any{"values": values, "cases": cases}); err != nil {
		panic(err)
	}
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
