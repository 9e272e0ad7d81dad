# A static binary in an empty image: no shell, no package manager, not root. About the size of the binary.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
# timetzdata puts the time zones into the binary, for the hour of the digest.
RUN CGO_ENABLED=0 go build -trimpath -tags timetzdata -ldflags "-s -w -X main.version=${VERSION}" -o /out/elevate ./cmd/elevate \
 && mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/elevate /usr/local/bin/elevate
# The audit log, and the state where store.url names no Redis, are kept here: mount a volume.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
WORKDIR /data
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/elevate"]
CMD ["serve", "--config", "/etc/elevate/elevate.yaml"]
