export default {
  input: "openapi.json",
  output: { path: "hey", tsConfigPath: "tsconfig.json", module: { extension: ".js" } },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
}
