// crictl stands in for cri-tools' program of that name, of which kind needs one command inside a node: whether an image
// is there, and its id. The real module cannot be had from every module proxy.
//
//	crictl inspecti IMAGE
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const socket = "unix:///run/containerd/containerd.sock"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || args[0] != "inspecti" {
		return fmt.Errorf("usage: crictl inspecti IMAGE")
	}
	connection, err := grpc.NewClient(socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reply, err := cri.NewImageServiceClient(connection).ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: args[1]}})
	if err != nil {
		return err
	}
	if reply.Image == nil {
		return fmt.Errorf("no such image %q present", args[1])
	}
	status := map[string]any{"id": reply.Image.Id, "repoTags": reply.Image.RepoTags, "repoDigests": reply.Image.RepoDigests}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"status": status})
}
