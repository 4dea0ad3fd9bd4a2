-- Claims a message. KEYS[1]: its key; ARGV: this worker's name, the lease in ms.
-- Answers -1 if it is claimed now, -2 if it was done, else how many ms another's claim still has.
if redis.call('SET', KEYS[1], 'working:' .. ARGV[1], 'NX', 'PX', ARGV[2]) then
    return -1
end
if string.sub(redis.call('GET', KEYS[1]), 1, 5) == 'done:' then
    return -2
end
return math.max(redis.call('PTTL', KEYS[1]), 1)
