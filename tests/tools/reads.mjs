// Reads an object of S3 for each line of its input; says "read", or what was wrong, on a line.
import { createInterface } from "node:readline";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";

const [Bucket, Key] = process.argv.slice(2);
const client = new S3Client({ forcePathStyle: true });
for await (const _ of createInterface({ input: process.stdin })) {
  try {
    const answer = await client.send(new GetObjectCommand({ Bucket, Key }));
    await answer.Body.transformToString();
    console.log("read");
  } catch (error) {
    console.log(String(error).replaceAll("\n", " "));
  }
}
