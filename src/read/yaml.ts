/** Data of a YAML or JSON text. */
import * as E from 'fp-ts/lib/Either.js'
import {
  type Document,
  type ErrorCode,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  LineCounter,
  type ParsedNode,
  parseDocument,
} from 'yaml'

/** Characters of the longest text that is looked at; a recipe or a map of masks is far shorter. */
const longest = 2 ** 20

/** Characters of a wrong line that are shown. */
const longestShown = 60

/** What the parser has words of its own for. */
const plainly: Partial<Record<ErrorCode, string>> = {
  BAD_INDENT: 'a line that is indented otherwise than the lines that it belongs to',
  TAB_AS_INDENT: 'a tab where spaces have to indent the line',
  BLOCK_AS_IMPLICIT_KEY: 'a second key on the line of another',
  MULTIPLE_DOCS: 'a second document',
  MULTILINE_IMPLICIT_KEY: 'a line without a colon where a key is due',
  BLOCK_IN_FLOW: 'an entry on a line of its own inside of brackets',
  BAD_SCALAR_START: 'a text without quotes that begins with a character that YAML keeps for itself',
}

/**
 * The plain data that a text of YAML, and so of JSON, describes; left: what is wrong with it, and where. Takes time and memory
 * in proportion to the text: aliases are refused, because they stand for more than they are.
 */
export const parseYaml = (text: string): E.Either<string, unknown> => {
  if (text.length > longest) return E.left(`${text.length} characters`)
  const lineCounter = new LineCounter()
  try {
    // The parser's own check of keys compares each with each, and its own places in the text take as long for each error.
    const document = parseDocument(text, { uniqueKeys: false, prettyErrors: false, lineCounter, logLevel: 'error' })
    const [problem] = document.errors
    if (problem !== undefined) {
      const { line, col } = lineCounter.linePos(problem.pos[0])
      const start = text.lastIndexOf('\n', problem.pos[0] - 1) + 1
      const shown =
        text
          .slice(start, start + longestShown)
          .split('\n', 1)[0]
          ?.trim() ?? ''
      const where = `at line ${line}, column ${col}${shown === '' ? '' : ` (${shown})`}`
      return E.left(`${plainly[problem.code] ?? problem.message} ${where}`)
    }
    const found = refused(document)
    return found === undefined ? E.right(document.toJS({ maxAliasCount: 0 })) : E.left(found)
  } catch (thrown) {
    // Data that its tags do not fit, and collections nested deeper than the stack is.
    if (!(thrown instanceof Error)) throw thrown
    return E.left(thrown.message)
  }
}

/** Collections in one another, at most: what reads the data may go down by recursion. */
const deepest = 100

/** An alias, a key that is given twice or is no text, or a collection too deep. */
const refused = (document: Document.Parsed<ParsedNode>): string | undefined => {
  const open: Array<readonly [node: unknown, depth: number]> = [[document.contents, 0]]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [node, depth] = next
    if (isAlias(node)) return `the alias *${node.source}`
    if (isPair(node)) {
      if (isCollection(node.key)) return 'a key that is a list or an object'
      open.push([node.key, depth], [node.value, depth])
    }
    if (!isCollection(node)) continue
    if (depth > deepest) return `more than ${deepest} lists and objects in one another`
    if (isMap(node)) {
      const keys = new Set<unknown>()
      for (const { key } of node.items) {
        if (!isScalar(key)) continue
        if (keys.has(key.value)) return `the key ${String(key.value)} twice`
        keys.add(key.value)
      }
    }
    for (const item of node.items) open.push([item, depth + 1])
  }
  return undefined
}
