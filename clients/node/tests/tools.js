// The six tools of the cases in `tool_cases.jsonl`: names and shapes are those of the compatibility
// test of openai/gpt-oss, the words are ours.

const object = (properties, required) => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});
const text = { type: "string" };

export const TOOLS = {
  get_system_health: {
    description: "How the system is.",
    parameters: { type: "object", properties: {} },
    output: '{"status":"ok"}',
  },
  markdown_to_html: {
    description: "Makes HTML of Markdown.",
    parameters: object({ markdown: text }, ["markdown"]),
    output: '{"html":"<p>Bread</p>"}',
  },
  detect_language: {
    description: "Which language a text is in.",
    parameters: object({ text }, ["text"]),
    output: '{"language":"de"}',
  },
  generate_chart: {
    description: "Draws a chart of points.",
    parameters: object(
      {
        data: { type: "array", items: { type: "array", items: { type: "number" } } },
        chart_type: { type: "string", enum: ["line", "bar", "scatter"] },
        title: text,
        x_label: text,
        y_label: text,
      },
      ["data", "chart_type"],
    ),
    output: '{"image":"iVBORw0KGgo="}',
  },
  query_database: {
    description: "Reads rows of a table.",
    parameters: object(
      {
        table: text,
        columns: { type: "array", items: text },
        filters: text,
        limit: { type: "integer", minimum: 1 },
        order_by: text,
      },
      ["table", "columns"],
    ),
    output: '{"rows":[{"id":1}]}',
  },
  get_weather: {
    description: "The weather of a place.",
    parameters: object({ location: text }, ["location"]),
    output: '{"sky":"sunny"}',
  },
};
