// A receiver of webhooks: verifies the signature by Standard Webhooks 1.0 (v1). Standard library only.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const tolerance = 5 * time.Minute

// ANCHOR: verify
// verify returns the id of the event, or an error if the request is not a webhook of the last minutes.
func verify(secret []byte, header http.Header, body []byte) (string, error) {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return "", errors.New("no webhook-timestamp")
	}
	if age := time.Since(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return "", errors.New("webhook-timestamp is too far from now")
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body) // the exact bytes, before any JSON parser
	expected := mac.Sum(nil)
	// During a rotation of the secret there are two signatures. hmac.Equal takes the same time for all inputs.
	for _, signature := range strings.Fields(header.Get("webhook-signature")) {
		given, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, "v1,"))
		if strings.HasPrefix(signature, "v1,") && err == nil && hmac.Equal(given, expected) {
			return id, nil
		}
	}
	return "", errors.New("no signature matches")
}

// ANCHOR_END: verify

func main() {
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))
	if err != nil || len(secret) == 0 {
		log.Fatal("set WEBHOOK_SECRET to the secret of the endpoint (whsec_...)")
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	var done sync.Map // in production: a table with a unique key, written in the transaction of the work
	http.HandleFunc("/", func(writer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(writer, request.Body, 1<<20))
		if err != nil {
			http.Error(writer, "the body cannot be read", http.StatusBadRequest)
			return
		}
		id, err := verify(secret, request.Header, body)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusBadRequest)
			return
		}
		if _, isDuplicate := done.LoadOrStore(id, true); !isDuplicate { // a retry has the same webhook-id
			var event struct {
				Type    string          `json:"type"`
				Payload json.RawMessage `json:"payload"`
			}
			_ = json.Unmarshal(body, &event)
			fmt.Println("received", event.Type, id, string(event.Payload))
		}
		fmt.Fprint(writer, "ok")
	})
	fmt.Println("listening on http://127.0.0.1:" + port)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
