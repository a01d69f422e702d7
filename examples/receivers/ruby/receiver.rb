# A receiver of webhooks: verifies the signature by Standard Webhooks 1.0 (v1). Standard library only.

require "json"
require "openssl"
require "set"
require "socket"

TOLERANCE_SECONDS = 5 * 60
SECRET = ENV.fetch("WEBHOOK_SECRET", "").delete_prefix("whsec_").unpack1("m0") # base64
abort "set WEBHOOK_SECRET to the secret of the endpoint (whsec_...)" if SECRET.empty?

# ANCHOR: verify
# Returns the id of the event. Raises ArgumentError if the request is not a webhook of the last minutes.
# In Rails: verify(request.headers, request.raw_post). In Rack, read the body before any parser does.
def verify(headers, body)
  id = headers["webhook-id"].to_s
  timestamp = headers["webhook-timestamp"].to_s
  raise ArgumentError, "no webhook-timestamp" unless timestamp.match?(/\A\d+\z/)
  if (Time.now.to_i - timestamp.to_i).abs > TOLERANCE_SECONDS
    raise ArgumentError, "webhook-timestamp is too far from now"
  end
  digest = OpenSSL::HMAC.digest("SHA256", SECRET, "#{id}.#{timestamp}.".b + body) # the exact bytes of the body
  expected = "v1," + [digest].pack("m0") # base64
  # During a rotation of the secret there are two signatures. secure_compare takes the same time for all inputs.
  signatures = headers["webhook-signature"].to_s.split(" ")
  is_genuine = signatures.any? { |signature| OpenSSL.secure_compare(signature, expected) }
  raise ArgumentError, "no signature matches" unless is_genuine
  id
end
# ANCHOR_END: verify

# Reads one request of HTTP/1.1. Returns its headers, with lower-case names, and its body.
def read_request(client)
  client.gets
  headers = {}
  while (line = client.gets&.chomp) && !line.empty?
    name, value = line.split(":", 2)
    headers[name.downcase] = value.to_s.strip
  end
  [headers, client.read(headers["content-length"].to_i) || ""]
end

done = Set.new # in production: a table with a unique key, written in the transaction of the work
port = Integer(ENV.fetch("PORT", "3000"))
server = TCPServer.new("127.0.0.1", port)
puts "listening on http://127.0.0.1:#{port}"
$stdout.flush

loop do
  Thread.new(server.accept) do |client|
    headers, body = read_request(client)
    begin
      id = verify(headers, body)
      if done.add?(id) # a retry after a lost answer has the same webhook-id
        event = JSON.parse(body)
        puts "received #{event["type"]} #{id} #{event["payload"]}"
        $stdout.flush
      end
      status, text = "200 OK", "ok"
    rescue ArgumentError => error
      status, text = "400 Bad Request", error.message
    end
    client.write "HTTP/1.1 #{status}\r\ncontent-length: #{text.bytesize}\r\nconnection: close\r\n\r\n#{text}"
  ensure
    client.close
  end
end
