// Prints what @ipld/car reads from the archive at the path it is given, as JSON.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { CarBlockIterator } from '@ipld/car/iterator'

const reader = await CarBlockIterator.fromIterable(createReadStream(process.argv[2]))
const roots = await reader.getRoots()
const blocks = []
for await (const { cid, bytes } of reader) {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  blocks.push({ cid: cid.toString(), sha256, size: bytes.length })
}
console.log(JSON.stringify({ version: reader.version, roots: roots.map(String), blocks }))
