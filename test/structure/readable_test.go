package structure

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Limits of what one wants to read. Generated files may be longer, and so may the functions of tests, which are tables.
const (
	maxFile     = 400
	maxFunction = 70
)

func eachFile(t *testing.T, do func(path string, set *token.FileSet, f *ast.File)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "bin") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		files++
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		if !ast.IsGenerated(f) {
			do(path, set, f)
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files, %v", files, err)
	}
}

func isTest(path string) bool { return strings.HasSuffix(path, "_test.go") }

func TestFilesAndFunctionsAreNoLongerThanOneWantsToRead(t *testing.T) {
	eachFile(t, func(path string, set *token.FileSet, f *ast.File) {
		if n := set.Position(f.End()).Line; n > maxFile {
			t.Errorf("%s has %d lines", path, n)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && !isTest(path) {
				if n := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1; n > maxFunction {
					t.Errorf("%s: %s has %d lines", path, fn.Name.Name, n)
				}
			}
		}
	})
}

func TestExportedNamesAreDocumented(t *testing.T) {
	eachFile(t, func(path string, set *token.FileSet, f *ast.File) {
		if f.Name.Name == "main" || isTest(path) {
			return
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || exportedReceiver(d.Recv)) && !interfaceMethod[d.Name.Name] {
					t.Errorf("%s: %s has no comment", set.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
						t.Errorf("%s: %s has no comment", set.Position(s.Pos()), s.Name.Name)
					}
				}
			}
		}
	})
}

// interfaceMethod are methods whose meaning their interface documents, and pairs documented by their first.
var interfaceMethod = map[string]bool{"Error": true, "Unwrap": true, "Is": true, "String": true, "Generation": true, "Vectors": true, "Holder": true,
	"Err": true, "Unmask": true, "Instance": true, "Len": true, "Less": true, "Swap": true, "Push": true, "Pop": true, "Stop": true, "Upgrade": true,
	"Init": true, "Update": true, "View": true, "Write": true, "Read": true, "Close": true, "MarshalText": true, "UnmarshalText": true,
	"MarshalJSON": true, "UnmarshalJSON": true, "LogValue": true, "Describe": true, "Collect": true}

func exportedReceiver(list *ast.FieldList) bool {
	typ := list.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	name, ok := typ.(*ast.Ident)
	return ok && name.IsExported()
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented, all := map[string]bool{}, map[string]bool{}
	eachFile(t, func(path string, _ *token.FileSet, f *ast.File) {
		if isTest(path) {
			return
		}
		all[filepath.Dir(path)] = true
		if f.Doc != nil {
			documented[filepath.Dir(path)] = true
		}
	})
	for dir := range all {
		if !documented[dir] {
			t.Errorf("%s has no package comment", dir)
		}
	}
}
