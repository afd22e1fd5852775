// The door: a link that works once, a short code, or a token, which is sent once and not kept.
import { html, useEffect, useState } from "../vendor/preact.js";
import { post } from "./api.js";
import { Copy } from "./copy.js";
import { go, route } from "./shell.js";
import { forget } from "./store.js";
import { Icon } from "./ui.js";

export default function SignIn({ id }) {
  const [wrong, setWrong] = useState(null);
  const [busy, setBusy] = useState(Boolean(id));
  const enter = async (body) => {
    setBusy(true);
    try {
      const answer = await post("/api/sign-in", body);
      await forget(); // what is kept here may be another's
      if (route.value.view === "sign-in") go("/sessions"); // else to where the address points
      dispatchEvent(new CustomEvent("pilotlight-signed-in", { detail: answer }));
    } catch (error) {
      setWrong(error.message);
      setBusy(false);
      if (id) history.replaceState(null, "", "#/sign-in");
    }
  };
  useEffect(() => {
    if (id) {
      history.replaceState(null, "", "#/sign-in"); // used or not, it does not stay in the address
      enter({ link: id });
    }
  }, []);
  const submit = (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    const code = String(data.get("code") || "").trim();
    const token = String(data.get("token") || "").trim();
    if (code || token) enter(code ? { code } : { token });
  };
  return html`<main id="main" class="gate" tabindex="-1"><div class="gate-card"><div class="mark"><${Icon} icon="flame-live" />pilotlight</div>
    <div class="stack"><h1 class="h-big">Sign in on this device</h1>
      ${wrong ? html`<div class="note bad" role="alert"><span><${Icon} icon="expired" size="s" /></span><p>${wrong}</p></div>` : null}
      <p class="soft">On the machine where pilotlight runs, type</p>
      <div class="cmd"><code tabindex="0">pilotlight open</code><${Copy} text="pilotlight open" label="Copy: pilotlight open" /></div>
      <p class="small muted">It prints a link that works once, for five minutes, and a code to type here. For a phone, <code>pilotlight open --qr</code> shows the link to its camera; so does a device that is signed in, under Settings.</p></div>
    <form class="stack" onSubmit=${submit}>
      <label class="field"><span class="label">Code</span><input class="input mono" name="code" autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" placeholder="ABCD-EFGH" maxlength="20" /></label>
      <div class="or">or</div>
      <label class="field"><span class="label">Token</span><input class="input mono" type="password" name="token" autocomplete="current-password" aria-describedby="tk" placeholder="pl_…" /></label>
      <span class="hint" id="tk"><code>pilotlight token</code> prints it. It is sent once and not kept; a cookie that no script can read takes its place.</span>
      <button type="submit" class="btn primary block" disabled=${busy}>${busy ? "Signing in…" : "Sign in"}</button></form>
  </div></main>`;
}
