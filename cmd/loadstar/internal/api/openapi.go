package api

import (
	"encoding"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// object is JSON in the making.
type object = map[string]any

func describe(*call) (any, error) { return Description(), nil }

var inPath = regexp.MustCompile(`\{([a-z]+)\}`)

// Description gives the API in OpenAPI 3.0.
func Description() map[string]any {
	s := &schemas{named: object{}}
	paths := object{}
	for _, r := range table() {
		p, _ := paths[r.path].(object)
		if p == nil {
			p = object{}
			paths[r.path] = p
		}
		p[strings.ToLower(r.method)] = r.describe(s)
	}
	return object{
		"openapi": "3.0.3",
		"info": object{
			"title": "Loadstar's admin endpoint", "version": "1",
			"description": "What changes something takes If-Match with an ETag that was read before, and is refused with 412 if something else was changed meanwhile. " +
				"X-Loadstar-By says for whom something is done. Times that end a wait or a change are the server's own.",
		},
		"paths":      paths,
		"components": object{"schemas": s.named},
	}
}

func (r *route) describe(s *schemas) object {
	out := object{"summary": r.summary}
	var params []any
	for _, m := range inPath.FindAllStringSubmatch(r.path, -1) {
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, q := range r.query {
		params = append(params, object{"name": q.name, "in": "query", "description": q.doc, "schema": object{"type": "string"}})
	}
	if r.tagged && r.method != http.MethodGet {
		params = append(params, object{"name": "If-Match", "in": "header", "schema": object{"type": "string"}})
	}
	if params != nil {
		out["parameters"] = params
	}
	if r.body != nil {
		out["requestBody"] = object{"required": true, "content": s.content(r.body, "application/octet-stream")}
	}
	answers := object{"200": object{"description": "Done"}}
	if r.answer != nil {
		answers["200"] = object{"description": "Done", "content": s.content(r.answer, "text/plain")}
	}
	for _, code := range append([]int{unreadable}, r.also...) { // a query that it does not know is refused by each
		answers[strconv.Itoa(code)] = object{"description": http.StatusText(code), "content": s.content(Problem{}, "")}
	}
	if _, loads := r.answer.(Loaded); loads { // a refused configuration is an answer, too
		answers["422"] = object{"description": http.StatusText(refused), "content": s.content(r.answer, "")}
	}
	out["responses"] = answers
	return out
}

// schemas collects the types of requests and answers.
type schemas struct{ named object }

func (s *schemas) content(v any, plain string) object {
	if _, ok := v.(text); ok {
		return object{plain: object{"schema": object{"type": "string"}}}
	}
	return object{"application/json": object{"schema": s.of(reflect.TypeOf(v))}}
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextMarshaler]()
	jsonType     = reflect.TypeFor[json.Marshaler]()
)

// of gives the schema of a Go type as encoding/json writes it.
func (s *schemas) of(t reflect.Type) object {
	switch {
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t == durationType:
		return object{"type": "integer", "format": "int64", "description": "nanoseconds"}
	case t.Implements(textType), t.Implements(jsonType):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return object{"nullable": true, "allOf": []any{s.of(t.Elem())}}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.reference(t)
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	}
	return object{"type": "integer"}
}

// reference names a struct, and describes it once.
func (s *schemas) reference(t reflect.Type) object {
	name := t.Name()
	if pkg := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]; pkg != "api" {
		name = pkg + "." + name
	}
	if _, ok := s.named[name]; !ok {
		props, required := object{}, []any{}
		o := object{"type": "object", "properties": props, "additionalProperties": false}
		s.named[name] = o
		s.fields(t, props, &required)
		if len(required) > 0 {
			o["required"] = required
		}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// fields adds the fields of a struct, those of embedded ones among them.
func (s *schemas) fields(t reflect.Type, props object, required *[]any) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			s.fields(f.Type, props, required)
		default:
			if name == "" {
				name = f.Name
			}
			v := s.of(f.Type)
			if f.Type.Kind() == reflect.Slice || f.Type.Kind() == reflect.Map {
				v["nullable"] = true // a nil one is written as null
			}
			props[name] = v
			if !strings.Contains(options, "omit") {
				*required = append(*required, name)
			}
		}
	}
}

// fieldsOf gives the names of a struct's fields as in JSON, for suggestions.
func fieldsOf(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	props := object{}
	(&schemas{named: object{}}).fields(t, props, new([]any))
	var out []string
	for name := range props {
		out = append(out, name)
	}
	return out
}
