FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=
# The folder is made here because the last stage has no shell; it keeps its mode and gets its owner below.
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/belfry . \
    && mkdir -p -m 0700 /out/root/data

FROM scratch
COPY --from=build --chown=65532:65532 /out/root/ /
COPY --from=build /out/belfry /belfry
# SQLite's temporary files go to the volume: nothing else can be written to.
ENV BELFRY_LISTEN=:9000 BELFRY_DATABASE=/data/belfry.db SQLITE_TMPDIR=/data
USER 65532:65532
EXPOSE 9000
VOLUME /data
HEALTHCHECK CMD ["/belfry", "healthcheck"]
ENTRYPOINT ["/belfry"]
