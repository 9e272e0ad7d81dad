// Has a security key answer before the form that asks for it is sent.
"use strict";

(() => {
  const form = document.querySelector("form[data-key]");
  const button = form.querySelector("button");
  const complaint = document.getElementById("wrong");

  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => {
    const raw = String.fromCharCode(...new Uint8Array(buffer));
    return btoa(raw).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  };
  const listed = (keys) => (keys ?? []).map((k) => ({ ...k, id: bytes(k.id) }));

  const make = async (asked) => {
    const made = await navigator.credentials.create({
      publicKey: {
        ...asked,
        challenge: bytes(asked.challenge),
        user: { ...asked.user, id: bytes(asked.user.id) },
        excludeCredentials: listed(asked.excludeCredentials),
      },
    });
    return [made, {
      attestationObject: text(made.response.attestationObject),
      transports: made.response.getTransports?.() ?? [],
    }];
  };

  const sign = async (asked) => {
    const signed = await navigator.credentials.get({
      publicKey: { ...asked, challenge: bytes(asked.challenge), allowCredentials: listed(asked.allowCredentials) },
    });
    return [signed, {
      authenticatorData: text(signed.response.authenticatorData),
      signature: text(signed.response.signature),
      userHandle: signed.response.userHandle ? text(signed.response.userHandle) : undefined,
    }];
  };

  const complaints = {
    NotAllowedError: "It was cancelled, took too long, or this key is none of yours here. Nothing was done; try again.",
    InvalidStateError: "You have this key here already. Use another one.",
    SecurityError: "Your browser takes no security keys on this page. Tell whoever looks after Elevate.",
  };
  const complain = (words) => {
    complaint.textContent = words;
    button.disabled = false;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!window.PublicKeyCredential) {
      complain("This browser knows no security keys. Open the link in another one.");
      return;
    }
    button.disabled = true;
    complaint.textContent = "";
    try {
      const asked = JSON.parse(form.dataset.options);
      const [key, response] = await (form.dataset.key === "create" ? make(asked) : sign(asked));
      form.elements.answer.value = JSON.stringify({
        id: key.id,
        rawId: text(key.rawId),
        type: key.type,
        authenticatorAttachment: key.authenticatorAttachment ?? undefined,
        clientExtensionResults: {},
        response: { clientDataJSON: text(key.response.clientDataJSON), ...response },
      });
    } catch (error) {
      complain(complaints[error.name] ?? "That did not work. Try again, or use another browser.");
      return;
    }
    form.submit();
  });
})();
