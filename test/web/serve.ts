/** Files of a folder at localhost. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
}

export interface Served {
  readonly address: string
  readonly close: () => void
}

/** Serves the files of a folder, each with these headers; gives the address, and what ends it. */
export const serve = async (folder: string, headers: Readonly<Record<string, string>> = {}): Promise<Served> => {
  const server = createServer(({ url = '/' }, response) => {
    const path = new URL(url, 'http://localhost').pathname
    const file = path === '/' ? '/index.html' : path
    try {
      const bytes = readFileSync(join(folder, file))
      response.writeHead(200, { ...headers, 'Content-Type': types[extname(file)] ?? '' }).end(bytes)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { address: `http://localhost:${address.port}/`, close: () => server.close() }
}
