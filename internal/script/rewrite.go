package script

import "go.starlark.net/syntax"

// Starlark's own operators count strings in bytes and know no bounds. So every one that reads text or can make something
// large out of something small becomes a call of a guarded function, whose name no expression can write.

func rewriteAll(stmts []syntax.Stmt) {
	for i, s := range stmts {
		stmts[i] = rewriteStmt(s)
	}
}

func rewriteStmt(stmt syntax.Stmt) syntax.Stmt {
	switch s := stmt.(type) {
	case *syntax.AssignStmt:
		rewriteAssign(s)
	case *syntax.DefStmt:
		rewriteParams(s.Params)
		rewriteAll(s.Body)
	case *syntax.ExprStmt:
		s.X = rewrite(s.X)
	case *syntax.IfStmt:
		s.Cond = rewrite(s.Cond)
		rewriteAll(s.True)
		rewriteAll(s.False)
	case *syntax.ForStmt:
		rewriteTarget(s.Vars)
		s.X = guarded("__iter", s.For, rewrite(s.X))
		rewriteAll(s.Body)
	case *syntax.WhileStmt:
		s.Cond = rewrite(s.Cond)
		rewriteAll(s.Body)
	case *syntax.ReturnStmt:
		s.Result = rewrite(s.Result)
	}
	return stmt
}

// rewriteAssign turns x += y into x = x + y, where reading x twice does no harm.
func rewriteAssign(s *syntax.AssignStmt) {
	s.RHS = rewrite(s.RHS)
	if s.Op == syntax.EQ {
		rewriteTarget(s.LHS)
		return
	}
	s.RHS = guarded("__"+s.Op.String(), s.OpPos, rewrite(readAgain(s.LHS)), s.RHS)
	rewriteTarget(s.LHS)
	s.Op = syntax.EQ
}

// readAgain copies the target of an assignment so that it can be read too.
func readAgain(e syntax.Expr) syntax.Expr {
	switch e := e.(type) {
	case *syntax.Ident:
		return &syntax.Ident{NamePos: e.NamePos, Name: e.Name}
	case *syntax.Literal:
		return e
	case *syntax.ParenExpr:
		return readAgain(e.X)
	case *syntax.DotExpr:
		return &syntax.DotExpr{X: readAgain(e.X), Dot: e.Dot, NamePos: e.NamePos, Name: e.Name}
	case *syntax.IndexExpr:
		return &syntax.IndexExpr{X: readAgain(e.X), Lbrack: e.Lbrack, Y: readAgain(e.Y), Rbrack: e.Rbrack}
	}
	start, _ := e.Span()
	panic(&misplaced{start, "this would be worked out twice: give it a name on a line of its own first"})
}

// misplaced is thrown for what stands at a place of the Starlark.
type misplaced struct {
	pos     syntax.Position
	message string
}

// rewriteTarget rewrites what is read within the target of an assignment; the target itself stays.
func rewriteTarget(e syntax.Expr) {
	switch e := e.(type) {
	case *syntax.DotExpr:
		e.X = rewrite(e.X)
	case *syntax.IndexExpr:
		e.X, e.Y = rewrite(e.X), guarded("__key", e.Lbrack, rewrite(e.Y))
	case *syntax.ParenExpr:
		rewriteTarget(e.X)
	case *syntax.ListExpr:
		for _, x := range e.List {
			rewriteTarget(x)
		}
	case *syntax.TupleExpr:
		for _, x := range e.List {
			rewriteTarget(x)
		}
	}
}

// rewriteParams rewrites the defaults of parameters.
func rewriteParams(params []syntax.Expr) {
	for _, p := range params {
		if b, ok := p.(*syntax.BinaryExpr); ok {
			b.Y = rewrite(b.Y)
		}
	}
}

func rewrite(expr syntax.Expr) syntax.Expr {
	switch e := expr.(type) {
	case nil:
		return nil
	case *syntax.ParenExpr:
		e.X = rewrite(e.X)
	case *syntax.UnaryExpr:
		e.X = rewrite(e.X)
	case *syntax.CondExpr:
		e.Cond, e.True, e.False = rewrite(e.Cond), rewrite(e.True), rewrite(e.False)
	case *syntax.LambdaExpr:
		rewriteParams(e.Params)
		e.Body = rewrite(e.Body)
	case *syntax.ListExpr:
		rewriteList(e.List)
	case *syntax.TupleExpr:
		rewriteList(e.List)
	case *syntax.DictExpr:
		rewriteList(e.List)
	case *syntax.DictEntry:
		e.Key, e.Value = guarded("__key", e.Colon, rewrite(e.Key)), rewrite(e.Value)
	case *syntax.Comprehension:
		rewriteComprehension(e)
	case *syntax.CallExpr:
		rewriteCall(e)
	default:
		return rewriteOperator(expr)
	}
	return expr
}

func rewriteOperator(expr syntax.Expr) syntax.Expr {
	switch e := expr.(type) {
	case *syntax.BinaryExpr:
		e.X, e.Y = rewrite(e.X), rewrite(e.Y)
		if e.Op != syntax.AND && e.Op != syntax.OR {
			return guarded("__"+e.Op.String(), e.OpPos, e.X, e.Y)
		}
	case *syntax.DotExpr:
		return guarded("__attr", e.Name.NamePos, rewrite(e.X), text(e.Name.NamePos, e.Name.Name))
	case *syntax.IndexExpr:
		return guarded("__index", e.Lbrack, rewrite(e.X), rewrite(e.Y))
	case *syntax.SliceExpr:
		return guarded("__slice", e.Lbrack, rewrite(e.X), orNone(e.Lo), orNone(e.Hi), orNone(e.Step))
	}
	return expr
}

func rewriteList(list []syntax.Expr) {
	for i, e := range list {
		list[i] = rewrite(e)
	}
}

// rewriteCall leaves the names of keyword arguments as they are.
func rewriteCall(e *syntax.CallExpr) {
	checkPattern(e)
	e.Fn = rewrite(e.Fn)
	for i, arg := range e.Args {
		if b, ok := arg.(*syntax.BinaryExpr); ok && b.Op == syntax.EQ {
			b.Y = rewrite(b.Y)
		} else {
			e.Args[i] = rewrite(arg)
		}
	}
}

func rewriteComprehension(e *syntax.Comprehension) {
	e.Body = rewrite(e.Body)
	for _, clause := range e.Clauses {
		switch c := clause.(type) {
		case *syntax.ForClause:
			rewriteTarget(c.Vars)
			c.X = guarded("__iter", c.For, rewrite(c.X))
		case *syntax.IfClause:
			c.Cond = rewrite(c.Cond)
		}
	}
}

// guarded is a call of a guarded function at a place.
func guarded(name string, pos syntax.Position, args ...syntax.Expr) syntax.Expr {
	return &syntax.CallExpr{Fn: &syntax.Ident{NamePos: pos, Name: name}, Lparen: pos, Args: args, Rparen: pos}
}

func text(pos syntax.Position, value string) syntax.Expr {
	return &syntax.Literal{Token: syntax.STRING, TokenPos: pos, Raw: syntax.Quote(value, false), Value: value}
}

// orNone is an expression that may be left out.
func orNone(e syntax.Expr) syntax.Expr {
	if e == nil {
		return &syntax.Ident{Name: "None"}
	}
	return rewrite(e)
}

// patternFunctions are the functions whose second argument is a pattern.
var patternFunctions = map[string]bool{"regex_match": true, "regex_replace": true}

// checkPattern compiles patterns that are written in the expression, so that a mistake is told when it is saved.
func checkPattern(e *syntax.CallExpr) {
	fn, ok := e.Fn.(*syntax.Ident)
	if !ok || !patternFunctions[fn.Name] || len(e.Args) < 2 {
		return
	}
	if literal, ok := e.Args[1].(*syntax.Literal); ok && literal.Token == syntax.STRING {
		if _, _, err := compilePattern(literal.Value.(string)); err != nil {
			panic(&misplaced{literal.TokenPos, err.Error()})
		}
	}
}
