/** The toolkit in a worker at the edge: a request in JSON is answered in JSON. */
import { judgeLines } from "./judge_lines.ts";

export default {
  async fetch(request: Request): Promise<Response> {
    return Response.json(judgeLines(await request.json()));
  },
};
