// Writes an archive with @ipld/car: to the path it is given, from JSON on standard input.
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { text } from 'node:stream/consumers'
import { CarWriter } from '@ipld/car/writer'
import { CID } from 'multiformats/cid'

const { roots, blocks } = JSON.parse(await text(process.stdin))
const { writer, out } = CarWriter.create(roots.map((root) => CID.parse(root)))
const written = pipeline(Readable.from(out), createWriteStream(process.argv[2]))
for (const { cid, base64 } of blocks) {
  await writer.put({ cid: CID.parse(cid), bytes: Buffer.from(base64, 'base64') })
}
await writer.close()
await written
