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

// TestTheMapNamesEveryFolder: ARCHITECTURE.md says of each folder with packages what is in it.
func TestTheMapNamesEveryFolder(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	var named strings.Builder // the first column; internal/page, top, metrics share a row
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			named.WriteString(cells[1])
		}
	}
	for _, p := range packages(t) {
		folders := strings.Split(strings.TrimPrefix(p.ImportPath, module+"/"), "/")
		name := folders[0]
		if name == "internal" {
			name = folders[1]
		}
		if p.ImportPath != module && !strings.Contains(named.String(), "`"+name) && !strings.Contains(named.String(), "/"+name+"`") {
			t.Errorf("%s is not on the map of ARCHITECTURE.md", p.ImportPath)
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
