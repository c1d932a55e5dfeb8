package structure

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromisesHaveTheirTests: each test that a document names as the proof of what it says is there, in the package that it names.
func TestPromisesHaveTheirTests(t *testing.T) {
	words := regexp.MustCompile("`([a-z0-9./]+)`|\\b((?:Test|Fuzz|Benchmark)[A-Z0-9]\\w+)")
	for _, document := range []string{"SECURITY.md", "docs/reliability.md", "docs/763.md"} {
		text, err := os.ReadFile("../../" + document)
		if err != nil {
			t.Fatal(err)
		}
		n, named := 0, 0
		for line := range strings.Lines(string(text)) {
			n++
			folder := ""
			for _, found := range words.FindAllStringSubmatch(line, -1) {
				if found[2] == "" {
					if info, err := os.Stat("../../" + found[1]); err == nil && info.IsDir() {
						folder = found[1]
					}
					continue
				}
				named++
				if rule.MatchString(found[2]) && folder == "" {
					folder = "irq"
				}
				if folder == "" {
					t.Errorf("%s:%d: %s: of which package?", document, n, found[2])
				} else if !testsOf(t, folder)[found[2]] {
					t.Errorf("%s:%d: there is no %s in %s", document, n, found[2], folder)
				}
			}
		}
		if named == 0 {
			t.Errorf("%s names no test", document)
		}
	}
}

// rule is short for all tests of a rule: TestRule7 stands for every TestRule7….
var rule = regexp.MustCompile(`^TestRule\d+$`)

var ruleOf = regexp.MustCompile(`^TestRule\d+`)

var known = map[string]map[string]bool{}

// testsOf are the test functions of a package.
func testsOf(t *testing.T, folder string) map[string]bool {
	t.Helper()
	if tests := known[folder]; tests != nil {
		return tests
	}
	tests := map[string]bool{}
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				tests[fn.Name.Name] = true
				tests[ruleOf.FindString(fn.Name.Name)] = true
			}
		}
	}
	known[folder] = tests
	return tests
}
